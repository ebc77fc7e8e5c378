// The Durable Object: one replica of one tenant's group. This file joins the platform's events to the member that lives
// here; an object that was never provisioned, or was wiped, has no member, answers that it is absent, and writes
// nothing.

import { type ApiRequest, protocolOf } from '../api/call.ts';
import { endpointOf, etcdPath } from '../api/routes.ts';
import { closeSocket } from '../api/close-frames.ts';
import { type Failure, failureResponse } from '../api/errors/errors.ts';
import type { ObjectRequest, ReplicaAnswer, ReplicaRequest } from '../api/replica-request.ts';
import { absentLeader, type AttemptAnswer, leaderHeader, redirectResponse, redirectStatus } from '../api/redirects.ts';
import {
  callerHeader,
  failedLeaderHeader,
  goesOnHeader,
  originHeader,
  suspectedLeaderHeader,
  writeIdHeader,
} from '../api/forwarded.ts';
import { parseCaller } from '../api/caller-text.ts';
import { pathAndQuery, targetOf } from '../api/request-target.ts';
import type { PlacedMember } from '../model/calls.ts';
import { locationHints } from '../model/locations.ts';
import { AssertionError, unreachable } from '../base/assert.ts';
import { replicaId, type ReplicaId } from '../model/brands.ts';
import { emptyBytes } from '../base/bytes.ts';
import { deletionKeptMs, removalKeptMs, tickMs } from '../limits.ts';
import { isolateMemory, type Reservation } from '../base/memory-budget.ts';
import type { Caller, Command } from '../model/store.ts';
import { accessOfRange } from '../mvcc/auth/access.ts';
import { decodeConfiguration, encodeConfiguration, foundingConfiguration } from '../raft/configuration.ts';
import { Directory } from '../tenants/directory.ts';
import { KeyRing, newId } from '../tenants/key-text.ts';
import { Signatures } from '../tenants/signatures.ts';
import { TokenRing } from '../tenants/token-text.ts';
import { AbsentPeers, type Joining } from './absent-peers.ts';
import { Logins } from './calls/auth-calls.ts';
import type { CallContext, Services } from './calls/call-context.ts';
import { headerOf, holderOf, objectOf } from './calls/call-steps.ts';
import { FrameSockets, type FrameSource, isFrameSocket } from './calls/call-frames.ts';
import { routeCall, type RouteOptions } from './calls/call-route.ts';
import { serveCall } from './calls/calls.ts';
import { DirectoryEntry, saveHeard } from './directory-entry.ts';
import { LeaseAlarm } from './lease/lease-alarm.ts';
import { LeaseService } from './lease/lease-service.ts';
import { FormerRequests } from './former-requests.ts';
import { answerGroupRequest } from './group-requests.ts';
import { KeepAliveStreams } from './lease/lease-stream.ts';
import { countPlacesBefore, placeAt } from './lock/lock-places.ts';
import { Observers } from './lock/lock-observe.ts';
import { LockWaits } from './lock/lock-waits.ts';
import { LogTable } from '../driver/log-table.ts';
import { loadIdentity, Member, type MemberIdentity, saveIdentity } from './member.ts';
import { quotaOf } from './calls/maintenance-quota.ts';
import { ObjectSql } from './object-sql.ts';
import { OpenCalls } from './open-calls.ts';
import { formerPeerUrl, type PeerAnswer } from './peers.ts';
import { SharedAlarm } from './shared-alarm.ts';
import { Remains } from './remains.ts';
import { SteppedReads } from './calls/stepped-reads.ts';
import { ObjectSockets } from './watch/watch-object-sockets.ts';
import { WatchService } from './watch/watch-service.ts';

export type ReplicaEnv = {
  readonly REPLICA: DurableObjectNamespace<Replica>;
  readonly DIRECTORY: D1Database;
  readonly SERVICE_SECRET?: string;
};

/**
 * A browser cannot send a ping frame. This text, on a socket of any kind, is answered by the platform while the object
 * sleeps, and costs nothing; by this file where the platform does not answer.
 */
const heartbeat = { request: 'ping', response: 'pong' } as const;

/** RFC 6455, 7.4, and its registry of close codes. */
const protocolError = 1_002;
/** The platform says this of a close frame without a code. */
const noCloseCode = 1_005;

/** Others, a client's fault or the platform's word for a connection that broke, cannot be sent. */
function isCloseCode(code: number): boolean {
  return code >= 1_000 && code < 5_000 && ![1_004, noCloseCode, 1_006, 1_015].includes(code);
}

type Living = {
  readonly member: Member;
  readonly watches: WatchService;
  readonly services: Services;
  readonly absentPeers: AbsentPeers;
  readonly leaseAlarm: LeaseAlarm;
  readonly entry: DirectoryEntry;
  readonly alarm: SharedAlarm;
};

const keepAlivePath = etcdPath('lease/keepalive');

/** What the services of a replica have in common. */
type Shared = {
  readonly open: OpenCalls;
  readonly memory: (caller: Caller) => Reservation;
  readonly durable: () => Promise<void>;
  readonly leaseAlarm: LeaseAlarm;
};

export class Replica extends FormerRequests<ReplicaEnv> {
  readonly #sql: ObjectSql;
  readonly #inOrder = new WeakMap<WebSocket, Promise<void>>();
  #living: Living | null;
  readonly #remains: Remains;

  constructor(context: DurableObjectState, env: ReplicaEnv) {
    super(context, env);
    this.#sql = new ObjectSql(context.storage);
    // It is the platform's own memory, not storage: what an instance before this one set is still there after a sleep.
    if (context.getWebSocketAutoResponse() === null) {
      context.setWebSocketAutoResponse(new WebSocketRequestResponsePair(heartbeat.request, heartbeat.response));
    }
    this.#remains = new Remains(this.#sql);
    const identity = this.#remains.isNone ? loadIdentity(this.#sql) : null;
    this.#living = identity === null ? null : this.#bringToLife(identity);
  }

  override async fetch(request: Request): Promise<Response> {
    const living = this.#living;
    if (living === null) {
      const { members } = this.#remains;
      return members === null ? absent() : redirectResponse(0, unplaced(members));
    }
    if (request.url === formerPeerUrl) {
      return new Response(living.member.receive(new Uint8Array(await request.arrayBuffer())));
    }
    const target = targetOf(request.url);
    // The gateway that calls is of the version before this one.
    const { path, query } = target ?? pathAndQuery(request.url);
    const { headers, method } = request;
    const posted = headers.has(goesOnHeader) ? request.body : null;
    const isWhole = endpointOf({ method, path, headers }).body !== 'asItComes';
    const buffered = request.body !== null && posted === null && isWhole;
    const body = buffered ? new Uint8Array(await request.arrayBuffer()) : emptyBytes;
    const caller: Caller = parseCaller(headers.get(callerHeader) ?? '') ?? { kind: 'accessKey', id: '' };
    const context: CallContext = {
      caller,
      writeId: headers.get(writeIdHeader) ?? '',
      failedLeader: numberOf(headers.get(failedLeaderHeader)),
      suspectedLeader: numberOf(headers.get(suspectedLeaderHeader)),
      origin: headers.get(originHeader) ?? '',
      services: living.services,
      gone: request.signal,
      posted,
      openWatch: (call) => living.watches.open(call, request, caller),
    };
    const { member } = living;
    const memory = isolateMemory.reserve(holderOf(member, caller));
    const lacking = memory.hold(body.byteLength);
    if (lacking !== null) return failureResponse(protocolOf(path), { kind: 'memoryFull', of: lacking });
    try {
      return await this.#serve(member, { method, path, query, headers, body }, context);
    } finally {
      memory.release();
    }
  }

  /** Messages of a peer, and the answer to them. No request of a client can name this: it is no path. */
  receive(messages: Uint8Array): PeerAnswer | Promise<PeerAnswer> {
    const living = this.#living;
    if (living !== null) return { kind: 'envelope', bytes: living.member.receive(messages) };
    return { kind: this.#remains.isNone ? 'absent' : 'left' };
  }

  async #serve(member: Member, request: ApiRequest, context: CallContext): Promise<Response> {
    try {
      return await serveCall(member, request, context);
    } catch (error) {
      // The gateway takes a call that throws for an outage and asks elsewhere. A fault of this code would fail there,
      // too.
      if (error instanceof AssertionError) throw error;
      console.error(error);
      return failureResponse(protocolOf(request.path), { kind: 'internal' });
    }
  }

  /** A watch begins after all that was acknowledged before it was asked for: so this replica first catches up. */
  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const living = this.#living;
    if (living === null) {
      closeSocket(socket, { kind: this.#remains.members === null ? 'tenantDeleted' : 'leaderChanged' });
      return Promise.resolve();
    }
    if (message === heartbeat.request) {
      socket.send(heartbeat.response);
      return Promise.resolve();
    }
    if (isFrameSocket(this.ctx, socket)) return living.services.frames.message(socket, message);
    const before = this.#inOrder.get(socket) ?? Promise.resolve();
    const handled = before.then(async () => {
      if (this.#living === null) return;
      if (await living.member.caughtUp()) this.#guard(() => living.watches.webSocketMessage(socket, message));
      else closeSocket(socket, { kind: 'noLeader' });
    });
    this.#inOrder.set(socket, handled);
    return handled;
  }

  /**
   * A handshake that the client began ends with the close frame that is sent here: the platform sends none by itself.
   */
  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    if (code === noCloseCode) socket.close();
    else if (isCloseCode(code)) socket.close(code, reason);
    else socket.close(protocolError);
    this.#forget(socket);
  }

  /** The connection broke. */
  override webSocketError(socket: WebSocket): void {
    this.#forget(socket);
  }

  #forget(socket: WebSocket): void {
    if (isFrameSocket(this.ctx, socket)) this.#living?.services.frames.closed(socket);
    else this.#living?.watches.webSocketClose(socket);
  }

  /**
   * A lease may have ended while all replicas slept, or a key with which a socket is open, or the directory is to be
   * told; or what is left of a replica goes.
   */
  override async alarm(): Promise<void> {
    if (this.#remains.isAllThatIsLeft) return this.#clear();
    const living = this.#living;
    if (living === null) return;
    const { leases, open } = living.services;
    await living.entry.alarm();
    open.expire();
    await leases.alarm();
    if (this.#living !== living) return;
    this.#wakeAtExpiry(open, living.leaseAlarm);
    await living.alarm.wanted();
  }

  override async ask(request: ReplicaRequest): Promise<ReplicaAnswer> {
    switch (request.kind) {
      case 'provision':
        return this.#provision(request);
      case 'retire':
        return this.#retire();
      case 'wipe':
        return this.#wipe();
      case 'administer':
      case 'accessKeys':
      case 'replicas':
      case 'addReplica':
      case 'removeReplica':
        return this.#living === null ? this.#noMember() : answerGroupRequest(this.#living.member, request);
      default:
        return unreachable(request);
    }
  }

  #provision(identity: ObjectRequest<'provision'>): null {
    if (this.#living !== null || !this.#remains.isNone) return null;
    const own: MemberIdentity = {
      tenant: identity.tenant,
      number: replicaId(identity.number),
      members: identity.members.map(({ number, location }) => ({ number: replicaId(number), location })),
    };
    const founding = own.members.map(({ number, location }) => ({ id: number, location }));
    this.#sql.transaction(() => {
      saveIdentity(this.#sql, own);
      // Whoever provisions a tenant has written it there before.
      saveHeard(this.#sql, encodeConfiguration(foundingConfiguration(founding)));
    });
    this.#living = this.#bringToLife(own);
    return null;
  }

  /** Makes this object a learner of a group that is at work. `configuration` names it. Doing it again is fine. */
  join(tenant: string, { number, configuration }: Joining): void | Promise<void> {
    if (this.#living !== null || !this.#remains.isNone) return;
    const group = decodeConfiguration(configuration);
    const members = group.members.filter(({ voter }) => voter).map(({ id, location }) => ({ number: id, location }));
    const own: MemberIdentity = { tenant, number: replicaId(number), members };
    this.#sql.transaction(() => {
      saveIdentity(this.#sql, own);
      new LogTable(this.#sql).found(group);
    });
    this.#living = this.#bringToLife(own);
  }

  async #retire(): Promise<number> {
    const living = this.#living;
    const nextNumber = living?.member.driver.raft.configuration.nextId ?? this.#remains.nextNumber;
    if (!this.#remains.isDeleted) this.#remains.setDeleted({ nextNumber, isWiped: false });
    this.#end({ kind: 'tenantDeleted' });
    await living?.absentPeers.settled();
    return nextNumber;
  }

  async #wipe(): Promise<number> {
    const nextNumber = await this.#retire();
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
    this.#remains.setDeleted({ nextNumber, isWiped: true });
    await this.ctx.storage.setAlarm(Date.now() + deletionKeptMs);
    return nextNumber;
  }

  /** This object is none any more, and nothing of what it was is left. */
  async #clear(): Promise<void> {
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
    this.#remains.gone();
  }

  /** The replica serves no more, and whoever waits for it is told. */
  #end(failure: Extract<Failure, { kind: 'tenantDeleted' | 'leaderChanged' }>): void {
    const living = this.#living;
    this.#living = null;
    living?.member.stop(failure.kind);
    living?.entry.stop();
    living?.watches.end(failure);
    living?.services.frames.end(failure);
    living?.services.observers.stop(failure);
    living?.services.waits.moved();
  }

  /** The group goes on without this replica. Its data go at once; where the group is, it tells for a while. */
  async #leave(members: readonly ReplicaId[]): Promise<void> {
    this.#remains.setRemoved(members);
    this.#end({ kind: 'leaderChanged' });
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
    this.#remains.write();
    await this.ctx.storage.setAlarm(Date.now() + removalKeptMs);
  }

  /**
   * What is on disk is durable before this instance ends, and answers that are on their way have left. Nothing is
   * served meanwhile.
   */
  async #restart(reason: string): Promise<void> {
    await this.ctx.storage.sync();
    await scheduler.wait(tickMs);
    this.ctx.abort(reason);
  }

  #noMember(): AttemptAnswer<never> {
    const { members } = this.#remains;
    return members === null ? { kind: 'absent' } : { kind: 'redirect', leader: 0, members: unplaced(members) };
  }

  #bringToLife(identity: MemberIdentity): Living {
    const stubOf = (peer: ReplicaId) => {
      const id = this.env.REPLICA.idFromName(`${identity.tenant}/${peer}`);
      return this.env.REPLICA.get(id, { retry: { maxRetries: 0 } });
    };
    const member: Member = new Member({
      identity,
      sql: this.#sql,
      stubOf,
      published: (events, revision) => {
        watches.published(events, revision);
        services.waits.published(events);
        services.observers.published(events);
      },
      applied: (commands) => endStreams(watches, open, commands),
      leasesChanged: (changes) => services.leases.applied(changes),
      absent: (peer) => {
        if (member.driver.halted === null) absentPeers.absent(peer);
      },
      present: (peer) => absentPeers.present(peer),
      removed: (members) => {
        if (this.#remains.isNone) this.#leave(members).catch((error) => this.#reset(error));
      },
      restart: (reason) => {
        this.#restart(reason).catch((error) => this.#reset(error));
      },
      ticked: () => {
        watches.tick(member.nowMs());
        services.leases.tick();
        open.tick();
        entry.tick();
        quota.tick();
      },
      leaderChanged: () => {
        services.leases.leaderChanged();
        if (member.driver.raft.role !== 'leader') services.waits.moved();
      },
      mayRest: () => services.leases.mayRest() && entry.mayRest,
      resting: () => {
        watches.flush();
        services.frames.resting();
        services.leases.resting();
        this.#wakeAtExpiry(open, leaseAlarm);
        entry.resting();
      },
      broken: (error) => this.#reset(error),
    });
    const { store } = member.driver;
    const alarm: SharedAlarm = new SharedAlarm(this.ctx.storage, () => entry.wakeAtMs);
    const entry: DirectoryEntry = this.#directoryEntry(member, alarm);
    const leaseAlarm = new LeaseAlarm(alarm, (error) => this.#reset(error));
    const later = (task: () => void, delayMs: number): (() => void) => {
      const timer = setTimeout(() => this.#guard(task), delayMs);
      return () => clearTimeout(timer);
    };
    const open = new OpenCalls({
      keyFailure: (caller) => store.authorizeKey(caller, { kind: 'anyone' }, member.nowMs()),
      expiresAtMs: (caller) => store.keyExpiresAtMs(caller),
      nowMs: () => member.nowMs(),
      later,
    });
    const memory = (caller: Caller): Reservation => isolateMemory.reserve(holderOf(member, caller));
    isolateMemory.begins(objectOf(identity));
    const durable = (): Promise<void> => this.ctx.storage.sync();
    const watches = new WatchService({
      sockets: new ObjectSockets(this.ctx),
      history: store,
      sql: this.#sql,
      open,
      memory,
      durable,
      header: (revision) => ({ ...headerOf(member), revision }),
      authorize: (caller, range) => store.authorize(caller, accessOfRange(range), member.nowMs()),
      mayGoOn: (caller, range) => store.authorizeKey(caller, accessOfRange(range), member.nowMs()),
      nowMs: () => member.nowMs(),
      later,
    });
    const services = this.#services(member, stubOf, { open, memory, durable, leaseAlarm });
    const quota = quotaOf(member);
    const absentPeers = new AbsentPeers({
      driver: member.driver,
      provision: (joining) => this.#provisionPeer(identity.tenant, joining),
      nowMs: () => member.nowMs(),
    });
    return { member, watches, services, absentPeers, leaseAlarm, entry, alarm };
  }

  /** The location counts when the object is first touched. */
  async #provisionPeer(tenant: string, joining: Joining): Promise<void> {
    const id = this.env.REPLICA.idFromName(`${tenant}/${joining.number}`);
    const locationHint = locationHints.find((hint) => hint === joining.location);
    const stub = this.env.REPLICA.get(id, locationHint === undefined ? {} : { locationHint });
    await stub.join(tenant, joining);
  }

  /** Sockets sleep with the object: it wakes for the first of their keys that expires, and ends them. */
  #wakeAtExpiry(open: OpenCalls, alarm: LeaseAlarm): void {
    const atMs = open.earliestExpiryMs;
    if (atMs !== null) alarm.wantBy(atMs, Date.now());
  }

  #directoryEntry(member: Member, alarm: SharedAlarm): DirectoryEntry {
    const { tenant } = member.identity;
    return new DirectoryEntry({
      sql: this.#sql,
      driver: member.driver,
      tell: (told) => new Directory(this.env.DIRECTORY).configured(tenant, told),
      wakeAt: () => {
        alarm.wanted().catch((error: unknown) => this.#reset(error));
      },
      wake: async () => (await member.leader(null)) !== null,
      nowMs: () => member.nowMs(),
      broken: (error) => this.#reset(error),
    });
  }

  #services(member: Member, stubOf: RouteOptions['stubOf'], { open, memory, durable, leaseAlarm }: Shared): Services {
    const signatures = new Signatures(this.env.SERVICE_SECRET ?? '');
    const writeIdPrefix = `${newId()}${newId()}`;
    let frames = 0;
    const waits = new LockWaits({
      open,
      placesBefore: (name, createRevision, limit) =>
        countPlacesBefore(member.driver.store, name, createRevision, limit),
      holds: ({ key, createRevision }) => placeAt(member.driver.store, key)?.createRevision === createRevision,
    });
    const serveFrame = (request: ApiRequest, { caller, origin }: FrameSource, gone: AbortSignal): Promise<Response> => {
      const writeId = `${writeIdPrefix}.${(frames++).toString(36)}`;
      return routeCall(
        { request, caller, origin, writeId, gone },
        {
          own: member.identity.number,
          serve: (call, { failedLeader, suspectedLeader }) =>
            this.#serve(member, call, {
              caller,
              writeId,
              failedLeader,
              suspectedLeader,
              origin,
              services,
              gone,
              posted: null,
              openWatch: noWatch,
            }),
          stubOf,
          nowMs: () => member.nowMs(),
        },
      );
    };
    const services: Services = {
      reads: new SteppedReads({
        holdHistory: () => member.driver.store.holdHistory(),
        serves: () => member.driver.serves,
        pause: () => scheduler.wait(0),
        nowMs: () => member.nowMs(),
      }),
      signatures,
      open,
      logins: new Logins(new KeyRing(signatures), new TokenRing(signatures)),
      frames: new FrameSockets({ host: this.ctx, open, memory, nowMs: () => member.nowMs(), serve: serveFrame }),
      leases: this.#leases(member, waits, leaseAlarm),
      keepAlives: new KeepAliveStreams({
        open,
        memory,
        durable,
        serve: (body, { caller, origin }, gone) => {
          const request = { method: 'POST', path: keepAlivePath, query: '', headers: new Headers(), body };
          return serveFrame(request, { path: keepAlivePath, caller, origin, timeoutMs: null }, gone);
        },
      }),
      waits,
      observers: new Observers({
        store: member.driver.store,
        header: (revision) => ({ ...headerOf(member), revision }),
        open,
        memory,
        durable,
      }),
    };
    return services;
  }

  #leases(member: Member, waits: LockWaits, alarm: LeaseAlarm): LeaseService {
    const broken = (error: unknown): void => this.#reset(error);
    const writeIdPrefix = `l:${newId()}${newId()}`;
    let writes = 0;
    return new LeaseService({
      member,
      alarm,
      place: Math.max(
        0,
        member.members.findIndex(({ id }) => id === member.identity.number),
      ),
      kept: () => waits.kept,
      newWriteId: () => `${writeIdPrefix}.${(writes++).toString(36)}`,
      wait: (delayMs) => scheduler.wait(delayMs),
      broken,
    });
  }

  #guard(task: () => void): void {
    try {
      task();
    } catch (error) {
      this.#reset(error);
      throw error;
    }
  }

  /**
   * An assertion failed: what is in memory cannot be trusted any more. Storage can: the object starts again from it.
   */
  #reset(error: unknown): void {
    console.error(error);
    this.ctx.abort(error instanceof AssertionError ? error.message : 'the replica failed');
  }
}

/** A frame is a call with one answer: watches have sockets of their own. */
function noWatch(): Response {
  return failureResponse('v3', { kind: 'notFound' });
}

function absent(): Response {
  return new Response(null, { status: redirectStatus, headers: { [leaderHeader]: absentLeader } });
}

/** Whoever was removed knows who stayed, and not where they run. */
function unplaced(members: readonly ReplicaId[]): readonly PlacedMember[] {
  return members.map((number) => ({ number, location: '' }));
}

/** What was applied may end streams that are open here. */
function endStreams(watches: WatchService, open: OpenCalls, commands: readonly Command[]): void {
  for (const { operation } of commands) {
    if (operation.kind === 'compact') watches.compacted();
    if (operation.kind === 'revokeAccessKey' || operation.kind === 'authDisable') open.keysChanged();
  }
}

function numberOf(header: string | null): ReplicaId | null {
  return header === null ? null : replicaId(Number(header));
}

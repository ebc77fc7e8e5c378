// The Durable Object: one replica of one tenant's group. This file hands the platform's events to the living replica,
// and decides when one begins and ends. An object that was never provisioned, or was wiped, has no living replica: it
// answers that it is absent, and writes nothing.

import { protocolOf } from '../api/call.ts';
import { closeAnswer, closeSocket } from '../api/close-frames.ts';
import { type Failure, failureResponse } from '../api/errors/errors.ts';
import { heartbeat } from '../api/upgrade.ts';
import type { ObjectRequest, ReplicaAnswer, ReplicaRequest } from '../api/replica-request.ts';
import { absentLeader, type AttemptAnswer, leaderHeader, redirectResponse, redirectStatus } from '../api/redirects.ts';
import { AssertionError } from '../base/assert.ts';
import { isolateMemory } from '../base/memory-budget.ts';
import { foundLog, knowsFounding } from '../driver/founding-log.ts';
import { LogTable } from '../driver/log-table.ts';
import { deletionKeptMs, removalKeptMs, tickMs } from '../limits.ts';
import { replicaId, type ReplicaId } from '../model/brands.ts';
import type { PlacedMember } from '../model/calls.ts';
import { locationHints } from '../model/locations.ts';
import { decodeConfiguration } from '../raft/configuration.ts';
import { Directory } from '../tenants/directory.ts';
import { Reports } from '../tenants/reports.ts';
import type { Joining } from './absent-peers.ts';
import type { Openings } from './calls/call-context.ts';
import { isFrameSocket } from './calls/call-frames.ts';
import { isSessionSocket } from './session/session-sockets.ts';
import { holderOf } from './calls/memory-holder.ts';
import { answerCall } from './calls/calls.ts';
import { readClientCall } from './calls/client-call.ts';
import { bringToLife } from './composition.ts';
import { FormerRequests } from './former-requests.ts';
import { answerGroupRequest } from './group-requests.ts';
import type { LivingReplica } from './living-replica.ts';
import { loadIdentity, type MemberIdentity, saveIdentity } from './member-identity.ts';
import { ObjectSql } from './object-sql.ts';
import { formerPeerUrl, type PeerAnswer } from './peers.ts';
import { Remains } from './remains.ts';

export type ReplicaEnv = {
  readonly REPLICA: DurableObjectNamespace<Replica>;
  readonly DIRECTORY: D1Database;
  readonly SERVICE_SECRET?: string;
};

export class Replica extends FormerRequests<ReplicaEnv> {
  readonly #sql: ObjectSql;
  readonly #remains: Remains;
  /** What the object is a replica of. Null: it is none. */
  #identity: MemberIdentity | null;
  #awake: LivingReplica | null = null;

  constructor(context: DurableObjectState, env: ReplicaEnv) {
    super(context, env);
    this.#sql = new ObjectSql(context.storage);
    // The platform keeps this in its own memory, and not in storage. After a sleep an earlier instance has set it.
    if (context.getWebSocketAutoResponse() === null) {
      context.setWebSocketAutoResponse(new WebSocketRequestResponsePair(heartbeat.request, heartbeat.response));
    }
    this.#remains = new Remains(this.#sql);
    this.#identity = this.#remains.isNone ? loadIdentity(this.#sql) : null;
  }

  /** A replica comes to life when it is first asked something, so that making one costs no more than its rows. */
  get #living(): LivingReplica | null {
    if (this.#awake === null && this.#identity !== null) this.#awake = this.#bringToLife(this.#identity);
    return this.#awake;
  }

  override async fetch(request: Request): Promise<Response> {
    const living = this.#living;
    if (living === null) {
      const { members } = this.#remains;
      return members === null ? absent() : redirectResponse(0, unplaced(members));
    }
    const { member, services } = living;
    if (request.url === formerPeerUrl) {
      return new Response(member.receive(new Uint8Array(await request.arrayBuffer())));
    }
    const { request: call, facts, posted } = await readClientCall(request);
    const memory = isolateMemory.reserve(holderOf(member, facts.caller));
    const lacking = memory.hold(call.body.byteLength);
    if (lacking !== null) return failureResponse(protocolOf(call.path), { kind: 'memoryFull', of: lacking });
    const openings: Openings = {
      openWatch: (watch) => living.watches.open(watch, request, facts.caller),
      openFrames: (frames) => living.frames.open(frames, facts.caller, facts.origin),
      openSession: (session) => living.sessions.open(session, facts.caller),
      openKeepAlives: posted === null ? null : (timeoutMs) => living.keepAlives.open(posted, facts, timeoutMs),
    };
    try {
      return await answerCall(member, call, { ...facts, services, openings });
    } finally {
      memory.release();
    }
  }

  /** Takes the messages of a peer, and answers them. No request of a client can reach this, because it has no path. */
  receive(messages: Uint8Array): PeerAnswer | Promise<PeerAnswer> {
    const living = this.#living;
    if (living !== null) return { kind: 'envelope', bytes: living.member.receive(messages) };
    return { kind: this.#remains.isNone ? 'absent' : 'left' };
  }

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
    if (isSessionSocket(this.ctx, socket)) {
      living.sessions.message(socket, message);
      return Promise.resolve();
    }
    return isFrameSocket(this.ctx, socket)
      ? living.frames.message(socket, message)
      : living.watchMessage(socket, message);
  }

  /**
   * If the client begins the closing handshake, the close frame that is sent here ends it: the platform does not send
   * one by itself.
   */
  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    const answer = closeAnswer(code, reason);
    if (answer === null) socket.close();
    else socket.close(answer.code, answer.reason);
    this.#forget(socket);
  }

  /** The connection of the socket broke. */
  override webSocketError(socket: WebSocket): void {
    this.#forget(socket);
  }

  #forget(socket: WebSocket): void {
    if (this.#living?.sessions.closed(socket) === true) return;
    if (isFrameSocket(this.ctx, socket)) this.#living?.frames.closed(socket);
    else this.#living?.watches.webSocketClose(socket);
  }

  /** The alarm rings for a living replica (`LivingReplica.alarm`), or to clear what is left of one. */
  override async alarm(): Promise<void> {
    if (this.#remains.isAllThatIsLeft) await this.#clear();
    else await this.#living?.alarm();
  }

  override async ask(request: ReplicaRequest): Promise<ReplicaAnswer> {
    switch (request.kind) {
      case 'provision':
        return this.#become(request, () => {});
      case 'found':
        if (!knowsFounding(request)) return { kind: 'unknownRequest' };
        return this.#become(request, () => foundLog(this.#sql, request));
      case 'retire':
        return this.#retire();
      case 'wipe':
        return this.#wipe();
      case 'call':
        return this.#living === null ? this.#noMember() : this.#living.answerFrame(request);
      case 'administer':
      case 'accessKeys':
      case 'whoami':
      case 'replicas':
      case 'addReplica':
      case 'removeReplica':
        return this.#living === null ? this.#noMember() : answerGroupRequest(this.#living.member, request);
      default:
        request satisfies never;
        // A gateway of newer code asks for what this code does not know.
        return { kind: 'unknownRequest' };
    }
  }

  #become(identity: Omit<ObjectRequest<'provision'>, 'kind'>, begin: () => void): null {
    if (this.#identity !== null || !this.#remains.isNone) return null;
    const own: MemberIdentity = {
      tenant: identity.tenant,
      number: replicaId(identity.number),
      members: identity.members.map(({ number, location }) => ({ number: replicaId(number), location })),
    };
    this.#sql.transaction(() => {
      saveIdentity(this.#sql, own);
      begin();
    });
    this.#identity = own;
    return null;
  }

  /** Makes this object a learner of a group at work, which `configuration` names. This may be called again. */
  join(tenant: string, { number, configuration }: Joining): void | Promise<void> {
    if (this.#identity !== null || !this.#remains.isNone) return;
    const group = decodeConfiguration(configuration);
    const members = group.members.filter(({ voter }) => voter).map(({ id, location }) => ({ number: id, location }));
    const own: MemberIdentity = { tenant, number: replicaId(number), members };
    this.#sql.transaction(() => {
      saveIdentity(this.#sql, own);
      new LogTable(this.#sql).found(group);
    });
    this.#identity = own;
  }

  async #retire(): Promise<number> {
    const living = this.#living;
    const nextNumber = living?.member.driver.raft.configuration.nextId ?? this.#remains.nextNumber;
    if (!this.#remains.isDeleted) this.#remains.setDeleted({ nextNumber, isWiped: false });
    this.#end({ kind: 'tenantDeleted' });
    await living?.member.settled();
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

  /** Clears the object: it is then as if it had never been a replica. */
  async #clear(): Promise<void> {
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
    this.#remains.gone();
  }

  /** The replica no longer serves, and waiting callers are told. */
  #end(failure: Extract<Failure, { kind: 'tenantDeleted' | 'leaderChanged' }>): void {
    const living = this.#awake;
    [this.#identity, this.#awake] = [null, null];
    living?.end(failure);
  }

  /**
   * The group goes on without this replica. Its data are deleted at once. For a while it still tells who the members
   * are.
   */
  async #leave(members: readonly ReplicaId[]): Promise<void> {
    this.#remains.setRemoved(members);
    this.#end({ kind: 'leaderChanged' });
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
    this.#remains.write();
    await this.ctx.storage.setAlarm(Date.now() + removalKeptMs);
  }

  /**
   * Ends this instance once its writes are durable, and once answers that are on their way have left. It serves nothing
   * meanwhile.
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

  #bringToLife(identity: MemberIdentity): LivingReplica {
    const { tenant } = identity;
    const idOf = (replica: number) => this.env.REPLICA.idFromName(`${tenant}/${replica}`);
    return bringToLife({
      identity,
      state: this.ctx,
      sql: this.#sql,
      serviceSecret: this.env.SERVICE_SECRET ?? '',
      stubOf: (peer) => this.env.REPLICA.get(idOf(peer), { retry: { maxRetries: 0 } }),
      provision: async (joining) => {
        // The platform looks at the location when the object is first called.
        const locationHint = locationHints.find((hint) => hint === joining.location);
        const stub = this.env.REPLICA.get(idOf(joining.number), locationHint === undefined ? {} : { locationHint });
        await stub.join(tenant, joining);
      },
      tellDirectory: (told) => new Directory(this.env.DIRECTORY).configured(tenant, told),
      report: (report) => new Reports(this.env.DIRECTORY).tell(tenant, report),
      removed: (members) => {
        if (this.#remains.isNone) this.#leave(members).catch((error) => this.#reset(error));
      },
      restart: (reason) => {
        this.#restart(reason).catch((error) => this.#reset(error));
      },
      broken: (error) => this.#reset(error),
    });
  }

  /**
   * An assertion failed: the memory of this instance can no longer be trusted. Storage can, and the object starts again
   * from it.
   */
  #reset(error: unknown): void {
    console.error(error);
    this.ctx.abort(error instanceof AssertionError ? error.message : 'the replica failed');
  }
}

function absent(): Response {
  return new Response(null, { status: redirectStatus, headers: { [leaderHeader]: absentLeader } });
}

/** A replica that was removed knows the members that stayed, but not where they run. */
function unplaced(members: readonly ReplicaId[]): readonly PlacedMember[] {
  return members.map((number) => ({ number, location: '' }));
}

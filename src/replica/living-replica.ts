// A replica in memory, with all its parts. This is the one place that says which part hears what from the driver and
// the clock, and in which order, what the object's alarm is for, and how the parts end.

import { closeSocket } from '../api/close-frames.ts';
import type { Failure } from '../api/errors/errors.ts';
import type { FrameAnswer, FrameCall } from '../api/replica-request.ts';
import type { Revision } from '../model/brands.ts';
import type { Command, Operation, RevisionEvents } from '../model/store.ts';
import type { LeaseChange } from '../mvcc/leases.ts';
import type { FrameSockets } from './calls/call-frames.ts';
import { answerFrameCall } from './calls/frame-call.ts';
import type { Quota } from './calls/maintenance-quota.ts';
import type { DirectoryEntry } from './directory-entry.ts';
import { countNames } from './tallies.ts';
import type { LeaseAlarm } from './lease/lease-alarm.ts';
import type { KeepAliveStreams } from './lease/lease-stream.ts';
import type { Member, MemberListener } from './member.ts';
import type { Reporter } from './reporter.ts';
import type { Retention } from './retention.ts';
import type { Services } from './services.ts';
import type { SessionSockets } from './session/session-sockets.ts';
import type { SharedAlarm } from './shared-alarm.ts';
import type { WatchService } from './watch/watch-service.ts';

export type ReplicaParts = {
  readonly member: Member;
  readonly services: Services;
  readonly watches: WatchService;
  readonly frames: FrameSockets;
  readonly sessions: SessionSockets;
  readonly keepAlives: KeepAliveStreams;
  readonly quota: Quota;
  readonly retention: Retention;
  readonly entry: DirectoryEntry;
  readonly reporter: Reporter;
  readonly alarm: SharedAlarm;
  /** Resolves once what was written is durable. */
  readonly durable: () => Promise<void>;
  readonly leaseAlarm: LeaseAlarm;
  /** The memory of this instance can no longer be trusted: the object must reset. */
  readonly broken: (error: unknown) => void;
};

/** What may end what a caller holds open. */
const changesKeys: ReadonlySet<Operation['kind']> = new Set<Operation['kind']>([
  'revokeAccessKey',
  'rotateAccessKey',
  'suspension',
  'terms',
  'authDisable',
]);

export class LivingReplica implements MemberListener {
  readonly member: Member;
  readonly services: Services;
  readonly watches: WatchService;
  readonly frames: FrameSockets;
  readonly sessions: SessionSockets;
  readonly keepAlives: KeepAliveStreams;
  readonly #parts: ReplicaParts;
  readonly #inOrder = new WeakMap<WebSocket, Promise<void>>();
  #hasEnded = false;

  constructor(parts: ReplicaParts) {
    this.#parts = parts;
    this.member = parts.member;
    this.services = parts.services;
    this.watches = parts.watches;
    this.frames = parts.frames;
    this.sessions = parts.sessions;
    this.keepAlives = parts.keepAlives;
  }

  /** A call that the gateway has parsed. */
  answerFrame(call: FrameCall): Promise<FrameAnswer> {
    return answerFrameCall({ ...this.#parts, services: this.services }, call);
  }

  // What the driver and the clock tell

  published(events: readonly RevisionEvents[] | null, revision: Revision): void {
    this.watches.published(events, revision);
    this.services.waits.published(events);
    this.services.observers.published(events);
  }

  /** Commands that were applied may end streams that are open here. */
  applied(commands: readonly Command[]): void {
    for (const { operation } of commands) {
      if (operation.kind === 'compact') this.watches.compacted();
      if (changesKeys.has(operation.kind)) this.services.open.keysChanged();
    }
  }

  leasesChanged(changes: readonly LeaseChange[]): void {
    this.services.leases.applied(changes);
  }

  leaderChanged(): void {
    this.services.leases.leaderChanged();
    if (this.member.driver.raft.role === 'leader') this.services.tallies.count(countNames.elections);
    else this.services.waits.moved();
  }

  ticked(): void {
    const { services, entry, quota, retention, reporter } = this.#parts;
    this.watches.tick(this.member.nowMs());
    services.leases.tick();
    this.sessions.tick();
    services.open.tick();
    entry.tick();
    retention.tick();
    quota.tick();
    reporter.tick();
  }

  mayRest(): boolean {
    const { entry, reporter } = this.#parts;
    return this.services.leases.mayRest() && entry.mayRest && reporter.mayRest && this.sessions.mayRest();
  }

  /** After this the object may be put to sleep. */
  resting(): void {
    const { entry, retention, reporter, alarm, broken } = this.#parts;
    this.watches.flush();
    this.sessions.resting();
    this.frames.resting();
    this.services.leases.resting();
    this.#wakeAtExpiry();
    entry.resting();
    retention.resting();
    reporter.resting();
    alarm.wanted().catch(broken);
  }

  // What the platform tells

  /**
   * The alarm rings because a lease, or the key of an open socket, may have ended while all replicas slept, or because
   * the directory must be told of the group or of what was served, or because enough of the history is old.
   */
  async alarm(): Promise<void> {
    const { services, entry, retention, reporter, alarm } = this.#parts;
    await entry.alarm();
    await retention.alarm();
    await reporter.alarm();
    services.open.expire();
    await services.leases.alarm();
    if (this.#hasEnded) return;
    this.#wakeAtExpiry();
    await alarm.wanted();
  }

  /**
   * A watch begins after every write that was acknowledged before it was asked for, so the replica first catches up.
   */
  watchMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const before = this.#inOrder.get(socket) ?? Promise.resolve();
    const handled = before.then(async () => {
      if (this.#hasEnded) return;
      if (await this.member.caughtUp()) this.#tellWatches(socket, message);
      else closeSocket(socket, { kind: 'noLeader' });
    });
    this.#inOrder.set(socket, handled);
    return handled;
  }

  /** The replica no longer serves, and waiting callers are told. */
  end(failure: Extract<Failure, { kind: 'tenantDeleted' | 'leaderChanged' }>): void {
    this.#hasEnded = true;
    this.member.stop(failure.kind);
    this.#parts.entry.stop();
    this.#parts.reporter.stop();
    this.watches.end(failure);
    this.frames.end(failure);
    this.sessions.end(failure);
    this.services.observers.stop(failure);
    this.services.waits.moved();
  }

  #tellWatches(socket: WebSocket, message: string | ArrayBuffer): void {
    try {
      this.watches.webSocketMessage(socket, message);
    } catch (error) {
      this.#parts.broken(error);
      throw error;
    }
  }

  /** Sockets sleep with the object. It wakes when the first of their keys expires, and ends the sockets of that key. */
  #wakeAtExpiry(): void {
    const atMs = this.services.open.earliestExpiryMs;
    if (atMs !== null) this.#parts.leaseAlarm.wantBy(atMs, this.member.nowMs());
  }
}

// The sessions of the front with the replicas of one tenant, and what is known of its group. Who calls is a handle of
// each session. The gateway took the credentials before, and a replica looks at what they may do for each call.

import type { CallAttempt } from '../api/sent-attempts.ts';
import { unreachable } from '../base/assert.ts';
import { attemptHedgeMs, replicasMax, requestTimeoutMs } from '../limits.ts';
import type { CallAnswer, Credentials } from '../model/calls.ts';
import type { Told } from '../routing/attempts.ts';
import { KnownGroup } from '../routing/known-group.ts';
import type { SessionWait } from '../model/waits.ts';
import type {
  Handle,
  OpenWait,
  OpenWatch,
  ReplicaSession,
  SessionAnswer,
  WaitSink,
  WatchSink,
} from '../session/client-port.ts';
import { SessionClient } from '../session/session-client.ts';
import type { SessionWatch } from '../session/watch-codec.ts';
import { connectSession, type OpenedSession } from './session-connection.ts';
import { SessionPace } from './session-pace.ts';
import type { Upstream } from './upstream.ts';
import { type MovedWaitEnd, MovingWait, type WaitAttempt } from './wait/moving-wait.ts';
import { MovingWatch } from './watch/moving-watch.ts';
import type { UpstreamSink } from './watch/shared-watches.ts';

/** Who calls. The object is the identity of the credentials for as long as they are good. */
export type KnownCaller = {
  readonly credentials: Credentials;
  /** The headers that they came in, each line with its end. */
  readonly lines: string;
  /** Why a replica refuses their handle, by its kind; null: it takes them. */
  refusedAs: string | null;
  usedMs: number;
};

export type SessionCall = {
  /** The same over all attempts, and of no other call of this process. */
  readonly id: number;
  readonly bytes: Uint8Array;
  readonly caller: KnownCaller;
};

/** `id`: as that of a call. */
export type WantedWait = { readonly id: number; readonly wait: SessionWait; readonly caller: KnownCaller };

export type Attempt = Pick<Told, 'failed' | 'suspected'> & CallAttempt;

/** `failed`: the connection broke, or the replica said nothing in time. */
export type SessionReply = CallAnswer | { readonly kind: 'failed' };

export type Asked = { readonly reply: Promise<SessionReply>; readonly cancel: () => void };

export type StoreSessionsOptions = {
  readonly upstream: Upstream;
  readonly processId: Uint8Array;
  /** A replica does not take these credentials, or not any more. */
  readonly refused: (caller: KnownCaller) => void;
};

type Session = {
  readonly client: ReplicaSession;
  readonly handles: Map<KnownCaller, Handle>;
  readonly pace: SessionPace;
  readonly unsentBytes: () => number;
};

export class StoreSessions {
  readonly group = new KnownGroup();
  readonly #options: StoreSessionsOptions;
  readonly #sessions = new Map<number, Session>();
  /** Replicas of which the gateway says that they do not exist. */
  readonly #absent = new Set<number>();
  readonly #waits = new Set<MovingWait>();
  /** In whose name a session is opened. */
  #opener: KnownCaller | null = null;
  #isClosed = false;

  constructor(options: StoreSessionsOptions) {
    this.#options = options;
  }

  /** Whether a call would leave at once for the replica that leads, as far as is known. If not, that is changed. */
  isReady(caller: KnownCaller): boolean {
    this.#opener = caller;
    const { client } = this.#with(this.group.leader);
    if (!client.isOpen) client.open();
    return client.isOpen;
  }

  /** What was said to replicas, and has not left this process, also where nobody waits for the answer any more. */
  get unsentBytes(): number {
    let bytes = 0;
    for (const session of this.#sessions.values()) bytes += session.unsentBytes();
    return bytes;
  }

  /** Makes one attempt. Once it was cancelled the reply is `failed`. */
  ask(replica: number, call: SessionCall, attempt: Attempt): Asked {
    if (this.#isClosed) return { reply: Promise.resolve({ kind: 'failed' }), cancel: () => undefined };
    this.#opener = call.caller;
    if (this.#absent.delete(replica)) return { reply: Promise.resolve({ kind: 'absent' }), cancel: () => undefined };
    const { client, handles, pace } = this.#with(replica);
    const handle = handles.get(call.caller) ?? client.declare(call.caller.credentials);
    handles.set(call.caller, handle);
    const { failed, suspected, mayBeAlone, seen } = attempt;
    const doubts = { failedLeader: failed, suspectedLeader: suspected, mayBeAlone, seen };
    const askedMs = performance.now();
    const message = pace.called();
    let resolve: (reply: SessionReply) => void = toNobody;
    const reply = new Promise<SessionReply>((settle) => {
      resolve = settle;
    });
    const options = { id: call.id, handle, deadlineMs: requestTimeoutMs, ...doubts };
    const leave = client.call(call.bytes, options, (answer) => {
      pace.answered(message, answer.kind === 'answered' ? performance.now() - askedMs : null);
      resolve(this.#replyOf(replica, answer));
    });
    const cancel = (): void => {
      leave();
      if (performance.now() - askedMs >= attemptHedgeMs) client.endIfSilent(askedMs);
      resolve({ kind: 'failed' });
    };
    return { reply, cancel };
  }

  #replyOf(replica: number, answer: SessionAnswer): SessionReply {
    switch (answer.kind) {
      case 'answered':
      case 'notLeader':
      case 'absent':
        return answer;
      case 'lost':
        return this.#absent.delete(replica) ? { kind: 'absent' } : { kind: 'failed' };
      case 'late':
        return { kind: 'failed' };
      default:
        return unreachable(answer);
    }
  }

  /** A watch that goes on at another replica where its connection breaks. */
  watch(caller: KnownCaller, wanted: SessionWatch, sink: UpstreamSink): OpenWatch {
    return new MovingWatch(wanted, sink, {
      watchAt: (replica, watch, own) => this.#watchAt(replica, caller, watch, own),
      first: () => this.group.leader,
      after: (replica) => (this.group.leader === replica ? this.group.next(replica) : this.group.leader),
      nowMs: () => performance.now(),
    });
  }

  /** The handle is that of the caller's calls, and is held for as long as the watch is open, whatever they do. */
  #watchAt(replica: number, caller: KnownCaller, watch: SessionWatch, sink: WatchSink): OpenWatch {
    this.#opener = caller;
    const { client } = this.#with(replica);
    const handle = client.declare(caller.credentials);
    let isOver = false;
    const release = (): void => {
      if (!isOver) client.release(handle);
      isOver = true;
    };
    const open = client.watch(watch, handle, {
      ...sink,
      ended: (failure, next) => {
        release();
        sink.ended(failure, next);
      },
    });
    const cancel = (): void => {
      open.cancel();
      release();
    };
    return { next: open.next, askProgress: open.askProgress, cancel };
  }

  /** A wait that goes on at the next leader where its leader fails. `ended` is called once, unless it was left. */
  wait(wanted: WantedWait, ended: (end: MovedWaitEnd) => void): OpenWait {
    const { group } = this;
    const wait: MovingWait = new MovingWait(
      {
        waitAt: (replica, attempt, sink) => this.#waitAt(replica, wanted, attempt, sink),
        isOpen: (replica) => this.#sessions.get(replica)?.client.isOpen === true,
        isAbsent: (replica) => this.#absent.delete(replica),
        group,
        nowMs: () => performance.now(),
        later: (delayMs, task) => {
          const timer = setTimeout(task, delayMs);
          return () => clearTimeout(timer);
        },
      },
      ended,
      () => this.#waits.delete(wait),
    );
    this.#waits.add(wait);
    return wait;
  }

  /** The handle is held for as long as the wait goes on here, as that of a watch is. */
  #waitAt(replica: number, { id, wait, caller }: WantedWait, attempt: WaitAttempt, sink: WaitSink): OpenWait {
    this.#opener = caller;
    const { client } = this.#with(replica);
    const handle = client.declare(caller.credentials);
    let isOver = false;
    const release = (): void => {
      if (!isOver) client.release(handle);
      isOver = true;
    };
    const open = client.wait(
      wait,
      { id, handle, ...attempt },
      {
        settled: (answer) => {
          const isGranted = answer.kind === 'answered' && answer.outcome.kind !== 'failed';
          if (isGranted) this.group.leader = replica;
          release();
          sink.settled(answer);
        },
        interrupted: sink.interrupted,
      },
    );
    const leave = (): void => {
      open.leave();
      release();
    };
    return { leave };
  }

  /** The credentials are used no more. */
  release(caller: KnownCaller): void {
    for (const { client, handles } of this.#sessions.values()) {
      const handle = handles.get(caller);
      if (handles.delete(caller) && handle !== undefined) client.release(handle);
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const wait of this.#waits) wait.close();
    for (const { client } of this.#sessions.values()) client.close();
    this.#sessions.clear();
  }

  #with(replica: number): Session {
    const known = this.#sessions.get(replica);
    if (known !== undefined) return known;
    this.#forgetFormer();
    const handles = new Map<KnownCaller, Handle>();
    const pace = new SessionPace();
    let connection: OpenedSession | null = null;
    const client: SessionClient = new SessionClient({
      connect: (events) => {
        const refused = (status: number): void => {
          if (status === 404) this.#absent.add(replica);
        };
        let isOpened = false;
        const opened = (): void => {
          isOpened = true;
          events.opened();
        };
        const closed = (): void => {
          if (!isOpened) this.#unreachable(replica);
          events.closed();
        };
        const lines = this.#opener?.lines ?? '';
        const calls = { ...events, opened, closed, refused };
        connection = connectSession(this.#options.upstream, { replica, lines }, calls);
        return connection;
      },
      processId: this.#options.processId,
      nowMs: () => performance.now(),
      later: (delayMs, task) => {
        const timer = setTimeout(task, delayMs);
        return () => clearTimeout(timer);
      },
      soon: (task) => pace.wait(client.callsUnderWay, task),
      random: Math.random,
      counted: (writes) => this.group.counted(writes),
      ended: (handle, { kind }) => {
        for (const [caller, declared] of handles) {
          if (declared !== handle) continue;
          caller.refusedAs = kind;
          this.#options.refused(caller);
        }
      },
    });
    const session = { client, handles, pace, unsentBytes: () => connection?.unsentBytes() ?? 0 };
    this.#sessions.set(replica, session);
    return session;
  }

  /** Any other replica that can be reached says who leads. */
  #unreachable(replica: number): void {
    if (this.group.leader === replica) this.group.leader = this.group.next(replica);
  }

  /** Replicas come and go. A group has at most `replicasMax` of them, and as many that are just being replaced. */
  #forgetFormer(): void {
    if (this.#sessions.size < 2 * replicasMax) return;
    for (const [replica, { client }] of this.#sessions) {
      if (this.group.candidates.includes(replica)) continue;
      client.close();
      this.#sessions.delete(replica);
    }
  }
}

function toNobody(): void {}

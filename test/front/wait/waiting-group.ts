// Three replicas with one queue, and clients who wait in it by session: the production ends of sessions, what a replica
// keeps of waits, and the waits that move. The network, the clock and the queue are the test's own, and whatever a seed
// says goes wrong. A place that nobody gives up stays for as long as its lease.

import { utf8 } from '../../../src/base/bytes.ts';
import { MovingWait } from '../../../src/front/wait/moving-wait.ts';
import { noLease } from '../../../src/model/brands.ts';
import type { WaitAnswer } from '../../../src/model/waits.ts';
import { ReplicaWaits, type ReplicaWaitFacts } from '../../../src/replica/session/session-waits.ts';
import type { WaitEnd } from '../../../src/replica/lock/lock-session.ts';
import { KnownGroup } from '../../../src/routing/known-group.ts';
import type { ConnectionEvents, OpenWait, SessionConnection } from '../../../src/session/client-port.ts';
import { SessionClient } from '../../../src/session/session-client.ts';
import { SessionServer } from '../../../src/session/session-server.ts';
import type { SessionWatchPort } from '../../../src/session/watch-server.ts';
import type { Random } from '../../support/random.ts';

/** Wrong on purpose, which the checks must find. */
export type WaitingBug = 'placeNotLeft' | 'secondPlace' | 'turnTooEarly';

const header = { clusterId: '1', memberId: '1', raftTerm: 1, revision: 1 };
const wanted = { kind: 'lock', name: utf8('queue'), lease: noLease } as const;
const latencyMs = 5;
const leaseMs = 60_000;

type Place = { readonly id: string; readonly key: string; readonly untilMs: number };

/** A promise that a session holds a place in, until its instance ends. */
type Look = { readonly instance: number; readonly look: () => boolean };

export class WaitingGroup {
  readonly random: Random;
  readonly bug: WaitingBug | null;
  nowMs = 0;
  /** 0: nobody leads. */
  leader = 1;
  places: readonly Place[] = [];
  readonly replicas: readonly WaitingReplica[];
  /** What does not hold, in words. */
  readonly violations: string[] = [];
  #looks: Look[] = [];
  #tasks: { readonly atMs: number; readonly run: () => void }[] = [];

  constructor(random: Random, bug: WaitingBug | null) {
    this.random = random;
    this.bug = bug;
    this.replicas = [1, 2, 3].map((id) => new WaitingReplica(this, id));
  }

  later(delayMs: number, run: () => void): () => void {
    const task = { atMs: this.nowMs + delayMs, run };
    this.#tasks.push(task);
    return () => (this.#tasks = this.#tasks.filter((other) => other !== task));
  }

  /** Until then, or until it is so. */
  async run(forMs: number, isSo: () => boolean = () => false): Promise<boolean> {
    const untilMs = this.nowMs + forMs;
    while (!isSo()) {
      let next = this.#tasks[0];
      for (const task of this.#tasks) if (next === undefined || task.atMs < next.atMs) next = task;
      if (next === undefined || next.atMs > untilMs) {
        this.nowMs = untilMs;
        return isSo();
      }
      const due = next;
      this.#tasks = this.#tasks.filter((other) => other !== due);
      this.nowMs = Math.max(this.nowMs, due.atMs);
      due.run();
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
    return true;
  }

  leads(replica: number): void {
    this.leader = replica;
    this.look();
  }

  remove(key: string): void {
    this.places = this.places.filter((place) => place.key !== key);
    this.look();
  }

  /** What waits looks whether it is over. */
  look(): void {
    this.#looks = this.#looks.filter(({ look, instance }) => this.#isThere(instance) && !look());
  }

  /** As a replica serves a wait: the same id finds the same place. */
  serve(
    replica: WaitingReplica,
    { writeId, gone }: ReplicaWaitFacts & { readonly gone: AbortSignal },
  ): Promise<WaitEnd> {
    const { instance } = replica;
    return new Promise((resolve) => {
      const elsewhere = (): WaitEnd => ({
        answer: { kind: 'notLeader', leader: this.leader, members: [] },
        giveUp: null,
      });
      if (this.leader !== replica.id) return resolve(elsewhere());
      const key = this.bug === 'secondPlace' ? `${writeId} ${instance}` : writeId;
      const isKnown = replica.taken.has(key);
      if (!isKnown) this.#take(writeId, key);
      replica.taken.add(key);
      const giveUp = (): Promise<void> => {
        if (this.leader === replica.id && instance === replica.instance) this.remove(key);
        return Promise.resolve();
      };
      const end = (answer: WaitAnswer | null, isGranted: boolean): boolean => {
        resolve({ answer, giveUp: isGranted ? giveUp : null });
        return true;
      };
      const look = (): boolean => {
        if (this.leader !== replica.id) {
          resolve(elsewhere());
          return true;
        }
        if (gone.aborted) {
          this.later(0, () => void giveUp());
          return end(null, false);
        }
        const place = this.places.findIndex((each) => each.key === key);
        const failure = { kind: 'failed', by: 'store', failure: { kind: 'sessionExpired' } } as const;
        if (place < 0) return end({ kind: 'answered', header, outcome: failure }, false);
        if (place > (this.bug === 'turnTooEarly' ? 1 : 0)) return false;
        const locked = { key: utf8(key), revision: 1 };
        return end({ kind: 'answered', header, outcome: { kind: 'locked', locked } }, true);
      };
      gone.addEventListener('abort', () => this.look());
      if (!look()) this.#looks.push({ instance, look });
    });
  }

  #take(id: string, key: string): void {
    if (this.places.some((place) => place.id === id)) this.violations.push('a wait has one place');
    this.places = [...this.places, { id, key, untilMs: this.nowMs + leaseMs }];
    this.later(leaseMs, () => this.remove(key));
  }

  #isThere(instance: number): boolean {
    return this.replicas.some((replica) => replica.instance === instance);
  }
}

/** What is remembered of writes is the group's, on whichever replica. */
const takenOf = new WeakMap<WaitingGroup, Set<string>>();
let instances = 0;

class WaitingReplica {
  readonly id: number;
  readonly #group: WaitingGroup;
  readonly #servers = new Map<Line, SessionServer>();
  #waits: ReplicaWaits;
  instance = 0;

  constructor(group: WaitingGroup, id: number) {
    this.#group = group;
    this.id = id;
    this.#waits = this.#start();
  }

  get taken(): Set<string> {
    const taken = takenOf.get(this.#group) ?? new Set();
    takenOf.set(this.#group, taken);
    return taken;
  }

  accept(line: Line): void {
    this.#servers.set(line, this.#serverOf(line));
  }

  message(line: Line, bytes: Uint8Array): void {
    this.#servers.get(line)?.message(bytes);
  }

  closed(line: Line): void {
    this.#servers.get(line)?.closed();
    this.#servers.delete(line);
  }

  /** Nothing is in memory any more. Sockets outlive a sleep, and not a crash. */
  restart(isCrash: boolean): void {
    const lines = [...this.#servers.keys()];
    this.#servers.clear();
    this.#waits = this.#start();
    for (const line of lines) {
      if (isCrash) {
        line.cut();
        continue;
      }
      const server = this.#serverOf(line);
      this.#servers.set(line, server);
      server.welcome();
    }
  }

  #start(): ReplicaWaits {
    const instance = ++instances;
    this.instance = instance;
    const group = this.#group;
    return new ReplicaWaits({
      serve: (_, facts) => group.serve(this, facts),
      memory: () => ({ hold: () => null, release: () => undefined }),
      later: (task, delayMs) =>
        group.later(delayMs, () => {
          if (this.instance === instance) task();
        }),
      header: () => header,
      broken: (error) => group.violations.push(String(error)),
    });
  }

  #serverOf(line: Line): SessionServer {
    const { bug } = this.#group;
    const waits = this.#waits;
    return new SessionServer({
      replica: this.id,
      send: (message) => line.toClient(message),
      close: () => line.cut(),
      identify: () => ({ kind: 'caller', caller: { kind: 'accessKey', id: 'key' } }),
      begin: () => () => undefined,
      begun: () => undefined,
      soon: (task) => void this.#group.later(0, task),
      header: () => header,
      writes: () => 0,
      nowMs: () => this.#group.nowMs,
      hold: () => null,
      mayHold: () => true,
      holdAlways: () => undefined,
      roomMade: () => undefined,
      declared: () => undefined,
      released: () => undefined,
      watches: noWatches,
      waits: {
        begin: (wait, facts, settle) => {
          const served = waits.begin(wait, { ...facts, session: 'session' }, settle);
          return bug === 'placeNotLeft' ? { ...served, leave: () => undefined } : served;
        },
      },
    });
  }
}

/** Nobody watches here. */
const noWatches: SessionWatchPort = {
  caughtUp: () => undefined,
  begin: () => ({ kind: 'failed', failure: { kind: 'overloaded' } }),
  goOn: () => undefined,
};

/** One connection. What either end says arrives in its order or not at all. */
class Line implements SessionConnection {
  readonly #group: WaitingGroup;
  readonly #replica: WaitingReplica;
  readonly #events: ConnectionEvents;
  #isCut = false;

  constructor(group: WaitingGroup, replica: WaitingReplica, events: ConnectionEvents) {
    this.#group = group;
    this.#replica = replica;
    this.#events = events;
    this.#soon(() => {
      replica.accept(this);
      events.opened();
    });
  }

  readonly send = (message: Uint8Array): void => {
    const copy = message.slice();
    this.#soon(() => this.#replica.message(this, copy));
  };

  toClient(message: Uint8Array): void {
    const copy = message.slice();
    this.#soon(() => this.#events.message(copy));
  }

  readonly close = (): void => this.#end(() => undefined);

  cut(): void {
    this.#end(() => this.#events.closed());
  }

  /** Each end notices in its own time. */
  #end(tell: () => void): void {
    if (this.#isCut) return;
    this.#isCut = true;
    const { random } = this.#group;
    this.#group.later(random.exponential(50), tell);
    this.#group.later(random.exponential(50), () => this.#replica.closed(this));
  }

  #soon(task: () => void): void {
    this.#group.later(latencyMs, () => {
      if (!this.#isCut) task();
    });
  }
}

export class WaitingClient {
  readonly #group: WaitingGroup;
  readonly #sessions: readonly SessionClient[];
  readonly #handles: readonly number[];
  readonly #known = new KnownGroup();
  readonly #lines = new Set<Line>();
  #lastId = 0;
  #wait: OpenWait | null = null;
  state: 'idle' | 'waiting' | 'holding' = 'idle';
  /** The place that it holds. */
  key = '';
  served = 0;

  constructor(group: WaitingGroup, number: number) {
    this.#group = group;
    this.#sessions = group.replicas.map((replica) => {
      return new SessionClient({
        connect: (events) => {
          const line = new Line(group, replica, events);
          this.#lines.add(line);
          return line;
        },
        processId: utf8(`client ${number}`.padEnd(16, '.')),
        nowMs: () => group.nowMs,
        later: (delayMs, task) => group.later(delayMs, task),
        soon: (task) => void group.later(0, task),
        ended: () => undefined,
        counted: () => undefined,
        random: () => group.random.next(),
      });
    });
    this.#handles = this.#sessions.map((session) => session.declare({ kind: 'alone', text: 'key' }));
  }

  wait(): void {
    const id = ++this.#lastId;
    this.state = 'waiting';
    const group = this.#group;
    this.#wait = new MovingWait(
      {
        waitAt: (replica, attempt, sink) => {
          const session = this.#sessions[replica - 1];
          if (session === undefined) throw new Error('there is no such replica');
          return session.wait(wanted, { id, handle: this.#handles[replica - 1] ?? 0, ...attempt }, sink);
        },
        isOpen: (replica) => this.#sessions[replica - 1]?.isOpen === true,
        isAbsent: () => false,
        group: this.#known,
        nowMs: () => group.nowMs,
        later: (delayMs, task) => group.later(delayMs, task),
      },
      (end) => {
        if (id !== this.#lastId) group.violations.push('who left hears nothing');
        const outcome = end.kind === 'answered' ? end.outcome : null;
        this.state = 'idle';
        if (outcome?.kind === 'locked') this.#holds(new TextDecoder().decode(outcome.locked.key));
      },
      () => undefined,
    );
  }

  leave(): void {
    this.#wait?.leave();
    this.state = 'idle';
  }

  release(): void {
    this.state = 'idle';
    this.#group.remove(this.key);
  }

  cut(): void {
    for (const line of this.#lines) line.cut();
    this.#lines.clear();
  }

  #holds(key: string): void {
    this.state = 'holding';
    this.key = key;
    this.served++;
    // Whoever stands before it holds, or may hold.
    if (this.#group.places.findIndex((place) => place.key === key) > 0) this.#group.violations.push('one holds');
  }
}

// A watcher whose watch is one of a session: the production end of each goes on over breaks, sleeps and restarts by
// itself. Now and then the watcher asks for progress, or goes on elsewhere from what it was told.

import { CountedWrites } from './client-operation.ts';
import type { FailureData } from '../../../src/model/calls.ts';
import type { Caller, RevisionEvents } from '../../../src/model/store.ts';
import type { OpenWatch } from '../../../src/session/client-port.ts';
import { WatchWitness } from '../checkers/watch-witness.ts';
import { plainEvents } from '../models/plain.ts';
import { Violation } from '../trace.ts';
import type { HistoryChecker } from '../checkers/history-checker.ts';
import { ClientSessions, type ClientSessionsOptions } from './client-sessions.ts';
import { administrator, service } from './simulated-people.ts';
import { matcherOf, someRange, type WatchedShape } from './watched-shape.ts';

export type SessionWatcherOptions = Omit<ClientSessionsOptions, 'counts'> & {
  readonly history: HistoryChecker;
  readonly people: { readonly areReady: boolean };
  readonly failed: (error: unknown) => void;
};

/** `isFirst`: nothing came since the connection broke. */
/** Of a fidget: that the watch goes on at another replica, or is cancelled and begun anew. */
const moveChance = 0.03;
const cancelChance = 0.03;

type Following = {
  readonly shape: WatchedShape;
  readonly witness: WatchWitness;
  watch: OpenWatch | null;
  isFirst: boolean;
};

export class SessionWatcher {
  readonly #options: SessionWatcherOptions;
  readonly #sessions: ClientSessions;
  #following: Following | null = null;
  #isSettled = false;

  constructor(options: SessionWatcherOptions) {
    this.#options = options;
    this.#sessions = new ClientSessions({ ...options, counts: new CountedWrites() });
    this.#soon(() => this.#begin());
    this.#fidget();
  }

  /** From now on the watcher only follows its watch. */
  settle(): void {
    this.#isSettled = true;
  }

  get isCaughtUp(): boolean {
    return this.#following?.witness.isCaughtUp === true;
  }

  inWords(): string {
    return `${this.#name}: ${this.#following?.witness.inWords()}`;
  }

  get #name(): string {
    return `watcher ${this.#options.number}`;
  }

  get #caller(): Caller {
    const { people, faults } = this.#options;
    return faults().auth > 0 && people.areReady ? administrator : service;
  }

  #begin(): void {
    const { history, random, faults } = this.#options;
    const without = random.integer(0, 9);
    const range = someRange(random, faults().workload);
    const shape = { range, noPut: without === 0, noDelete: without === 1, previous: random.chance(0.6) };
    const { revision } = history;
    const start = random.pick([
      null,
      Math.max(1, revision - random.integer(0, 40)),
      1,
      revision + random.integer(1, 8),
    ]);
    const witness = new WatchWitness({
      happened: history,
      matches: matcherOf(shape),
      previous: shape.previous,
      start,
      fail: (rule, what) => {
        throw new Violation(`watch: ${rule}`, `${this.#name}, ${witness.inWords()}: ${what}`);
      },
    });
    this.#following = { shape, witness, watch: null, isFirst: true };
    this.#watch(this.#following);
  }

  /** Begins, or goes on elsewhere, where the witness knows what lacks. */
  #watch(following: Following): void {
    const { history, group, random, trace } = this.#options;
    const { shape, witness } = following;
    const replica = group.pick(random).id;
    const asked = witness.resume;
    witness.connects({ asked, floor: history.floor.revision });
    following.isFirst = true;
    trace.add('session watch', () => `${this.#name} at ${replica} from ${asked}`);
    const isCurrent = (): boolean => this.#following === following && following.watch === watch;
    const watch = this.#sessions.watch(replica, { ...shape, start: asked ?? 0 }, this.#caller, {
      created: ({ header, from }) => this.#hears(() => witness.created({ revision: header.revision, from })),
      events: (revisions) => this.#hears(() => this.#events(following, revisions)),
      progress: ({ revision }) => {
        // A watch that begins at what comes next is told that nothing lacks.
        if (revision + 1 !== witness.resume) this.#hears(() => witness.progress(revision));
      },
      interrupted: () => {
        trace.count('session watches interrupted');
        following.isFirst = true;
        if (random.chance(0.7)) return;
        // Whoever does not want to wait goes on elsewhere.
        this.#soon(() => {
          if (isCurrent()) this.#move(following);
        });
      },
      ended: (failure) => {
        if (isCurrent()) this.#hears(() => this.#ended(following, failure));
      },
    });
    following.watch = watch;
  }

  #move(following: Following): void {
    following.watch?.cancel();
    this.#watch(following);
  }

  #events(following: Following, revisions: readonly RevisionEvents[]): void {
    const { trace } = this.#options;
    const events = revisions.flatMap((whole) => plainEvents(whole));
    trace.add('session watch events', () => `${this.#name}: ${events.map(({ pair }) => pair.mod).join(' ')}`);
    following.witness.events(events, following.isFirst);
    following.isFirst = false;
  }

  #ended({ witness }: Following, failure: FailureData): void {
    const { trace } = this.#options;
    trace.add('session watch ended', () => `${this.#name}: ${JSON.stringify(failure)}`);
    this.#following = null;
    if (failure.kind === 'compacted') witness.compacted(Number(failure['compactedRevision']));
    this.#soon(() => this.#begin());
  }

  /** What is heard is judged within a replica's turn or a client's, which must not break by it. */
  #hears(judge: () => void): void {
    try {
      judge();
    } catch (error) {
      this.#options.failed(error);
    }
  }

  #fidget(): void {
    const { random, schedule } = this.#options;
    schedule.after(random.exponential(300), () => {
      if (this.#isSettled) return;
      const following = this.#following;
      if (random.chance(0.4)) following?.watch?.askProgress();
      if (following !== null && random.chance(moveChance)) this.#move(following);
      else if (following !== null && random.chance(cancelChance)) {
        following.watch?.cancel();
        this.#begin();
      }
      this.#fidget();
    });
  }

  #soon(action: () => void): void {
    const { schedule, random } = this.#options;
    schedule.after(random.exponential(100), action);
  }
}

// A watcher. It opens a watch at some replica, reads what comes, asks for progress, loses its connection, and goes on
// elsewhere from what it has seen. Some watchers are informers: they list in pages, watch from the list's revision and
// keep a copy, which must equal the store in the end.

import { CountedWrites } from './client-operation.ts';
import type { WatchCall } from '../../../src/api/contract.ts';
import type { Caller } from '../../../src/model/store.ts';
import { administrator, service } from './simulated-people.ts';
import { Gateway, type GatewayOptions } from '../platform/gateway.ts';
import type { PlainPair } from '../models/plain.ts';
import { plainPair, textOfBytes } from '../models/plain.ts';
import { read } from './requests.ts';
import { SimulatedSocket } from '../platform/simulated-socket.ts';
import { check, Violation } from '../trace.ts';
import { parseFrame, type SeenEvent, type WatchFrame, type WatchProtocol } from './watch-frames.ts';
import { WatchWitness } from '../checkers/watch-witness.ts';
import { matcherOf, someRange, type WatchedShape } from './watched-shape.ts';
import { type Listing, listingAfter } from './workload-kubernetes.ts';

export type WatcherOptions = Omit<GatewayOptions, 'sessions' | 'counts'> & {
  readonly number: number;
  /** Before this time the administrator has no access key. */
  readonly people: { readonly areReady: boolean };
};

/** A watch over all its connections. `copy`: the copy of an informer. */
type Following = {
  readonly protocol: WatchProtocol;
  readonly shape: WatchedShape;
  readonly witness: WatchWitness;
  readonly copy: Map<string, PlainPair> | null;
};
type Connection = { readonly socket: SimulatedSocket; isOpen: boolean };

/** If there is no answer by then, the client asks another replica. */
const openingMs = 3_000;

export class SimulatedWatcher {
  readonly #options: WatcherOptions;
  readonly #gateway: Gateway;
  readonly #isInformer: boolean;
  #count = 0;
  #following: Following | null = null;
  #connection: Connection | null = null;
  #isSettled = false;

  constructor(options: WatcherOptions) {
    const { random } = options;
    this.#options = options;
    this.#gateway = new Gateway({ ...options, counts: new CountedWrites(), sessions: null });
    this.#isInformer = random.chance(0.5);
    this.#soon(() => this.#begin());
    this.#fidget();
  }

  /** From now on the watcher only follows its watch. */
  settle(): void {
    this.#isSettled = true;
  }

  get isCaughtUp(): boolean {
    return this.#connection?.isOpen === true && this.#following?.witness.isCaughtUp === true;
  }

  /** Called at the end, when the watcher has caught up. */
  checkCopy(): void {
    const { history } = this.#options;
    const { copy, shape } = this.#following ?? {};
    if (copy === undefined || copy === null || shape === undefined) return;
    const pairs = history.pairsAt(shape.range, history.revision);
    const [kept, held] = [[...copy.values()], pairs].map((list) => JSON.stringify(list.toSorted(byKey)));
    check(kept === held, 'watch: copy equals the store', () => `${this.#name} keeps ${kept}, the store ${held}`);
  }

  inWords(): string {
    const { witness, protocol } = this.#following ?? {};
    const connected = this.#connection === null ? 'no connection' : this.#connection.isOpen ? 'open' : 'opening';
    return `${this.#name}: ${protocol} ${connected}, ${witness?.inWords()}`;
  }

  get #caller(): Caller {
    const { people, faults } = this.#options;
    return faults().auth > 0 && people.areReady ? administrator : service;
  }

  get #name(): string {
    return `w${this.#options.number}`;
  }

  // Beginning

  /** Begins a new watch. */
  #begin(): void {
    this.#connection?.socket.leave();
    this.#connection = null;
    this.#following = null;
    const shape = this.#someShape();
    if (this.#isInformer) this.#list({ range: shape.range, revision: 0 }, { shape, copy: new Map() });
    else this.#follow(shape, { start: this.#someStart(), copy: null });
  }

  /** Lists a page, and the next pages after it. */
  #list(page: Listing, into: { readonly shape: WatchedShape; readonly copy: Map<string, PlainPair> }): void {
    const { random, trace } = this.#options;
    const action = read(page.range, { limit: random.integer(1, 5), revision: page.revision });
    this.#gateway.ask(`${this.#name}-${++this.#count}`, { action, caller: this.#caller }, (answer) => {
      const failed = answer === null || answer.kind !== 'read' || answer.result.kind !== 'answer';
      if (failed || action.kind !== 'read') return this.#soon(() => this.#begin());
      for (const pair of answer.result.answer.kvs.map(plainPair)) into.copy.set(pair.key, pair);
      const next = listingAfter(action, answer);
      if (next !== null) return this.#list(next, into);
      trace.add('listed', () => `by ${this.#name} at ${page.revision === 0 ? answer.revision : page.revision}`);
      const at = page.revision === 0 ? answer.revision : page.revision;
      this.#follow(into.shape, { start: at + 1, copy: into.copy });
    });
  }

  #follow(
    shape: WatchedShape,
    { start, copy }: { readonly start: number | null; readonly copy: Map<string, PlainPair> | null },
  ): void {
    const { history, random } = this.#options;
    const protocol = shape.noPut || shape.noDelete ? 'v3' : random.pick(['v1', 'v3'] as const);
    const witness = new WatchWitness({
      happened: history,
      matches: matcherOf(shape),
      previous: shape.previous,
      start,
      fail: (rule, what) => {
        const range = `${textOfBytes(shape.range.key)} to ${textOfBytes(shape.range.rangeEnd)}`;
        throw new Violation(`watch: ${rule}`, `${this.#name}, ${JSON.stringify(range)} ${witness.inWords()}: ${what}`);
      },
    });
    this.#following = { protocol, shape, witness, copy };
    this.#connect();
  }

  #someShape(): WatchedShape {
    const { random, faults } = this.#options;
    const range = someRange(random, faults().workload);
    if (this.#isInformer) return { range, noPut: false, noDelete: false, previous: random.chance(0.5) };
    const without = random.integer(0, 9);
    return { range, noPut: without === 0, noDelete: without === 1, previous: random.chance(0.6) };
  }

  /** The watch begins now, at a revision that was, or at one that is still to come. */
  #someStart(): number | null {
    const { random, history } = this.#options;
    const { revision } = history;
    return random.pick([null, Math.max(1, revision - random.integer(0, 40)), 1, revision + random.integer(1, 8)]);
  }

  // Connections

  #connect(): void {
    const { random, schedule, trace, group, faults, bug } = this.#options;
    const following = this.#following;
    if (following === null) return;
    following.witness.connects({ asked: following.witness.resume, floor: this.#options.history.floor.revision });
    const connection: Connection = {
      isOpen: false,
      socket: new SimulatedSocket({
        random,
        schedule,
        bug,
        readMs: random.chance(faults().slowReader) ? random.pick([20, 300]) : 0,
        client: {
          opened: () => this.#opened(connection, following),
          message: (text, isFirst) => {
            if (this.#connection === connection) this.#read(following, parseFrame(following.protocol, text), isFirst);
          },
          closed: (code) => {
            if (this.#connection !== connection) return;
            trace.add('watch closed', () => `${this.#name}: ${code}`);
            this.#goOn();
          },
        },
      }),
    };
    this.#connection = connection;
    const replica = group.pick(random);
    trace.add('watch', () => `${this.#name} at ${replica.id} from ${following.witness.resume}`);
    schedule.after(openingMs, () => {
      if (this.#connection === connection && !connection.isOpen) this.#goOn();
    });
    if (random.chance(faults().requestLost)) return trace.count('requests lost');
    schedule.after(random.exponential(2), () => {
      if (this.#connection !== connection) return;
      replica.openWatch({
        call: callOf(following),
        caller: this.#caller,
        socket: connection.socket,
        refused: (why) => {
          trace.add('watch refused', () => `${this.#name}: ${why}`);
          if (this.#connection === connection) this.#goOn();
        },
      });
    });
  }

  #opened(connection: Connection, { protocol, shape, witness }: Following): void {
    if (this.#connection !== connection) return connection.socket.leave();
    connection.isOpen = true;
    if (protocol === 'v1') return;
    const { random } = this.#options;
    connection.socket.say(
      JSON.stringify({
        create_request: {
          key: base64(shape.range.key),
          range_end: base64(shape.range.rangeEnd),
          ...(witness.resume === null ? {} : { start_revision: String(witness.resume) }),
          prev_kv: shape.previous,
          filters: [...(shape.noPut ? ['NOPUT'] : []), ...(shape.noDelete ? ['NODELETE'] : [])],
          progress_notify: random.chance(0.3),
          fragment: random.chance(0.3),
        },
      }),
    );
  }

  /** Goes on at another replica, or at the same one. */
  #goOn(): void {
    const connection = this.#connection;
    this.#connection = null;
    connection?.socket.leave();
    this.#soon(() => {
      if (this.#connection === null) this.#connect();
    });
  }

  // Reading

  #read(following: Following, frame: WatchFrame, isFirst: boolean): void {
    const { trace } = this.#options;
    const { witness } = following;
    switch (frame.kind) {
      case 'created':
        trace.add('watch created', () => `${this.#name} at ${frame.revision}`);
        return witness.created(frame);
      case 'events':
        trace.add('watch events', () => `${this.#name}: ${frame.events.map(({ revision }) => revision).join(' ')}`);
        trace.count('watch events told', frame.events.length);
        witness.events(frame.events, isFirst);
        return copyEvents(following, frame.events);
      case 'progress':
        trace.add('watch progress', () => `${this.#name}: ${frame.revision}`);
        return witness.progress(frame.revision);
      case 'canceled':
        return this.#canceled(following, frame);
    }
  }

  #canceled({ witness }: Following, { compacted, resume, why }: Extract<WatchFrame, { kind: 'canceled' }>): void {
    const { trace, schedule, random } = this.#options;
    if (resume > 0) {
      trace.add('watch too slow', () => `${this.#name}, resumes from ${resume}`);
      witness.slow(resume);
      return this.#goOn();
    }
    if (compacted > 0) {
      trace.add('watch compacted', () => `${this.#name}: ${compacted}`);
      witness.compacted(compacted);
    } else trace.add('watch canceled', () => `${this.#name}: ${why}`);
    this.#connection?.socket.leave();
    this.#connection = null;
    schedule.after(random.exponential(200), () => this.#begin());
  }

  // Whims

  #fidget(): void {
    const { random, schedule, faults } = this.#options;
    schedule.after(random.exponential(300), () => {
      if (this.#isSettled) return;
      const connection = this.#connection;
      if (connection?.isOpen === true) {
        if (random.chance(0.4)) this.#askForProgress(connection);
        if (random.chance(faults().cutEveryMs === 0 ? 0 : 300 / faults().cutEveryMs)) {
          this.#options.trace.count('watch connections cut');
          connection.socket.cut();
        } else if (random.chance(0.02)) this.#begin();
      }
      this.#fidget();
    });
  }

  #askForProgress({ socket }: Connection): void {
    const isV1 = this.#following?.protocol === 'v1';
    socket.say(isV1 ? '{"type":"progress"}' : '{"progress_request":{}}');
  }

  #soon(action: () => void): void {
    const { schedule, random } = this.#options;
    schedule.after(random.exponential(100), action);
  }
}

function callOf({ protocol, shape, witness }: Following): WatchCall {
  if (protocol === 'v3') return { kind: 'watch', protocol, transport: 'websocket', accepted: null, timeoutMs: null };
  const parameters = { range: shape.range, from: witness.resume, previous: shape.previous };
  return { kind: 'watch', protocol, transport: 'websocket', accepted: null, parameters };
}

function copyEvents({ copy }: Following, events: readonly SeenEvent[]): void {
  if (copy === null) return;
  for (const { type, pair } of events) {
    if (type === 'put') copy.set(pair.key, pair);
    else copy.delete(pair.key);
  }
}

function byKey(left: PlainPair, right: PlainPair): number {
  return left.key < right.key ? -1 : 1;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

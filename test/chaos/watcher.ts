// One watcher of a run. It watches a range over one transport, is cut off or cuts itself off, and goes on after what it
// was told, as a client would: after the last event or progress, or after the last id of a server-sent event. Some
// watchers list first and watch from there. A watcher keeps every frame of every connection for the checker.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Pair } from '../sim/checkers/history.ts';
import type { Watched, WatchConnection, WatchFrame } from '../sim/checkers/watch-checker.ts';
import type { WatchEvent } from '../sim/checkers/watch-witness.ts';
import type { Random } from '../support/random.ts';
import { isObject, listIn, type Members, membersOf, numberIn, textIn } from './json.ts';
import type { Recorder } from './recorder.ts';
import { listPage, pairOf, type StoreAddress } from './store-calls.ts';
import { FrameFault, openWatch, type Transport } from './watch-transport.ts';

export type WatchShape = {
  readonly name: string;
  readonly transport: Transport;
  readonly prefix: string;
  readonly previous: boolean;
  /** Where the watch begins: at a revision, at what comes next, or after a list of all keys. */
  readonly start: number | 'next' | 'list';
};

export type WatcherOptions = WatchShape & {
  readonly recorder: Recorder;
  readonly random: Random;
  readonly store: () => StoreAddress;
  /** While this is true the watcher asks for nothing, so that the group may rest. */
  readonly isPaused: () => boolean;
};

const listWaitMs = 15_000;
const reconnectPauseMs = 100;
const connectionMeanMs = 4_000;
/** Some watchers that began at a revision go back to it now and then, and get everything since then once more. */
const beginsAgain = 0.3;

type Connection = { -readonly [Name in keyof WatchConnection]: WatchConnection[Name] } & { frames: WatchFrame[] };

export class ChaosWatcher {
  readonly #options: WatcherOptions;
  readonly #connections: Connection[] = [];
  /** The first revision to ask for. Null: what comes next. */
  #next: number | null = null;
  #lastEventId: string | null = null;
  #hasBegun: boolean;
  /** The copy of a watcher that listed first: each pair by its key. */
  readonly #copy: Map<string, { readonly mod: number; readonly value: string }> | null;

  constructor(options: WatcherOptions) {
    this.#options = options;
    this.#hasBegun = options.start !== 'list';
    this.#next = typeof options.start === 'number' ? options.start : null;
    this.#copy = options.start === 'list' ? new Map() : null;
  }

  get name(): string {
    return this.#options.name;
  }

  get prefix(): string {
    return this.#options.prefix;
  }

  get connections(): number {
    return this.#connections.length;
  }

  async run(isOver: () => boolean): Promise<void> {
    const { random } = this.#options;
    while (!isOver()) {
      await this.#follow(Math.round(random.exponential(connectionMeanMs)) + 200, isOver);
      await sleep(reconnectPauseMs);
    }
  }

  /** Waits until the watcher was told everything up to `revision`. False: that takes longer than `waitMs`. */
  async reaches(revision: number, waitMs: number): Promise<boolean> {
    const isThere = (): boolean => (this.#next ?? 0) > revision;
    for (const deadline = Date.now() + waitMs; !isThere() && Date.now() < deadline;) {
      await this.#follow(deadline - Date.now(), isThere);
      await sleep(reconnectPauseMs);
    }
    return isThere();
  }

  watched(through: number): Watched {
    const { name, prefix, previous, transport } = this.#options;
    const matches = (key: string): boolean => key.startsWith(prefix);
    return {
      name: `${name} (${transport}, ${prefix === '' ? 'all keys' : prefix})`,
      matches,
      previous,
      connections: this.#connections,
      through,
    };
  }

  /** The store as the list and the events after it make it. Null: this watcher did not list. */
  get copy(): ReadonlyMap<string, { readonly mod: number; readonly value: string }> | null {
    return this.#copy;
  }

  async #follow(lastsMs: number, isOver: () => boolean): Promise<void> {
    if (!this.#hasBegun && !(await this.#list())) return;
    const { transport, prefix, previous, random, recorder, store, isPaused, start } = this.#options;
    if (typeof start === 'number' && random.chance(beginsAgain)) [this.#next, this.#lastEventId] = [start, null];
    const asked = this.#next;
    const connection: Connection = { asked, floor: recorder.revision, frames: [] };
    this.#connections.push(connection);
    const cut = new AbortController();
    const timer = setTimeout(() => cut.abort(), lastsMs);
    const looking = setInterval(() => {
      if (isOver()) cut.abort();
    }, 50);
    // A browser asks for the first address again, and sends the id that it saw last.
    const from = transport === 'sse' && this.#lastEventId !== null ? this.#firstAsked : asked;
    const query = new URLSearchParams({
      prefix,
      prev: String(previous),
      ...(from === null ? {} : { from: String(from) }),
    });
    try {
      await openWatch(transport, {
        store: store(),
        query,
        nearest: random.chance(0.5),
        lastEventId: transport === 'sse' ? this.#lastEventId : null,
        signal: cut.signal,
        isPaused,
        frame: (json, id) => this.#take(connection, json, id),
      });
    } finally {
      clearTimeout(timer);
      clearInterval(looking);
    }
  }

  get #firstAsked(): number | null {
    return this.#connections[0]?.asked ?? null;
  }

  /** Lists in pages. The watch begins after their revision. */
  async #list(): Promise<boolean> {
    const { prefix, store, recorder } = this.#options;
    const options = { store: store(), writeId: null, waitMs: listWaitMs, nearest: false };
    const list = { prefix, limit: 5, revision: null, serializable: false };
    const floor = recorder.revision;
    let cursor: string | null = null;
    do {
      const called = await listPage({ ...list, cursor }, options);
      if (called.kind !== 'answered') return false;
      for (const [key, { mod, value }] of called.value.pairs) this.#copy?.set(key, { mod, value: value ?? '' });
      ({ cursor } = called.value);
      this.#next = called.value.revision + 1;
      if (called.value.revision < floor)
        recorder.unexpected.push(`a list showed ${called.value.revision}, ${floor} was over before`);
    } while (cursor !== null);
    this.#hasBegun = true;
    return true;
  }

  #take(connection: Connection, json: string, id: string | null): void {
    try {
      const frames = framesOf(membersOf(json));
      // The id of a server-sent event promises what a progress frame promises.
      if (id !== null) frames.push({ kind: 'progress', revision: Number(id) });
      if (id !== null) this.#lastEventId = id;
      connection.frames.push(...frames);
      for (const frame of frames) this.#note(frame);
    } catch (error) {
      throw new FrameFault(`${this.#options.name} cannot read ${json.slice(0, 300)}`, { cause: error });
    }
  }

  #note(frame: WatchFrame): void {
    if (frame.kind === 'created') this.#next = Math.max(this.#next ?? 0, frame.from ?? 0);
    else if (frame.kind === 'progress') this.#next = Math.max(this.#next ?? 0, frame.revision + 1);
    else for (const event of frame.events) this.#copyEvent(event);
  }

  #copyEvent({ type, pair: { key, mod, value } }: WatchEvent): void {
    if (type === 'delete') this.#copy?.delete(key);
    else this.#copy?.set(key, { mod, value });
  }
}

/** One frame, and the progress that its id promises. */
function framesOf(frame: Members): WatchFrame[] {
  const revision = numberIn(frame, 'revision');
  switch (frame.get('type')) {
    case 'created':
      return [{ kind: 'created', revision, from: numberIn(frame, 'from') }];
    case 'events':
      // The revision of the frame is that of its last events: everything up to it was told.
      return [
        { kind: 'events', events: listIn(frame, 'events').map((event) => eventOf(membersOf(event))) },
        { kind: 'progress', revision },
      ];
    case 'progress':
      return [{ kind: 'progress', revision }];
    case 'canceled':
      if (frame.get('reason') !== 'slow') throw new Error('a watch was refused');
      return [{ kind: 'progress', revision: numberIn(frame, 'resume_from') - 1 }];
    default:
      throw new Error('a frame of an unknown type');
  }
}

function eventOf(event: Members): WatchEvent {
  const kv = membersOf(event.get('kv'));
  const prev = event.get('prev');
  const previous = isObject(prev) ? wholePair(membersOf(prev)) : null;
  if (event.get('type') === 'put') return { type: 'put', pair: wholePair(kv), previous };
  const pair = { key: textIn(kv, 'key'), value: '', mod: numberIn(kv, 'mod_revision'), create: 0, version: 0 };
  return { type: 'delete', pair, previous };
}

function wholePair(kv: Members): Pair {
  return { key: textIn(kv, 'key'), ...pairOf(kv) };
}

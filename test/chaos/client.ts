// One client of a run. It writes, reads, compares and lists, one call after the other, and records what it asked and
// was told. Half of the clients repeat a write whose answer was lost, under the same Idempotency-Key, until they get an
// answer: the group must do that write once.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer, Condition, Input, SeenPair, Write } from '../sim/checkers/history.ts';
import type { Random } from '../support/random.ts';
import type { Recorder } from './recorder.ts';
import {
  type Called,
  type CallOptions,
  getKey,
  listPage,
  type Page,
  type StoreAddress,
  transact,
  transactV3,
  UnexpectedAnswer,
  writeKey,
} from './store-calls.ts';

/**
 * Keys that are written one by one, keys that are written in pairs, and keys that are listed. Each kind is checked
 * apart from the others.
 */
const singleKeys = ['r/0', 'r/1', 'r/2', 'r/3'] as const;
const pairedKeys = ['p/0', 'p/1', 'p/2', 'p/3'] as const;
export const listedPrefix = 'l/';
const listedKeys = Array.from({ length: 12 }, (_, index) => `${listedPrefix}${String(index).padStart(2, '0')}`);

/** This is longer than the service waits, so no answer can come later. */
const answerWaitMs = 15_000;
const pauseMeanMs = 12;
const largeValueCharacters = 8_000;
const attemptsMax = 50;
/** After a failed connection the server is not asked again at once. */
const unsentPauseMs = 100;

export type ClientOptions = {
  readonly recorder: Recorder;
  readonly random: Random;
  readonly store: () => StoreAddress;
  /** Whether the client repeats writes whose answers were lost. */
  readonly repeats: boolean;
  /** While this is true the client does nothing, so that the group may rest. */
  readonly isPaused: () => boolean;
};

type Ask = (options: CallOptions) => Promise<Called<Answer>>;

const noInput: Input = { when: [], writes: [], reads: [], serializable: false };

export class ChaosClient {
  readonly #options: ClientOptions;
  #number: number;
  #calls = 0;
  /** The value that the present call writes, which no other call writes. */
  #name = '';
  /** The mod revision that the client last saw of each key; 0: there was no key. */
  readonly #seen = new Map<string, number>();

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#number = options.recorder.newClient();
  }

  async run(isOver: () => boolean): Promise<void> {
    const { random, isPaused, recorder } = this.#options;
    while (!isOver()) {
      await sleep(random.exponential(pauseMeanMs));
      if (isPaused()) {
        await sleep(50);
        continue;
      }
      try {
        await this.#once(isOver);
      } catch (error) {
        if (!(error instanceof UnexpectedAnswer)) throw error;
        recorder.unexpected.push(error.message);
      }
    }
  }

  #once(isOver: () => boolean): Promise<void> {
    const { random } = this.#options;
    const single = random.pick(singleKeys);
    this.#name = `${this.#number}.${++this.#calls}`;
    const value = this.#name;
    const put: Write = { kind: 'put', key: single, value };
    switch (random.integer(0, 13)) {
      case 0:
      case 1:
        return this.#write(put, null, isOver);
      case 2:
      case 3:
        return this.#write(put, this.#seen.get(single) ?? 0, isOver);
      case 4:
        return this.#write(
          { kind: 'delete', key: single },
          random.chance(0.5) ? null : (this.#seen.get(single) ?? null),
          isOver,
        );
      case 5:
      case 6:
        return this.#get(single, false);
      case 7:
        return this.#get(single, true);
      case 8:
      case 9:
        return this.#pair(value, isOver);
      case 10:
        return this.#lookAtPair();
      case 11:
        return this.#list();
      default:
        return this.#writeListed(value, isOver);
    }
  }

  // Single keys

  async #write(write: Write, mod: number | null, isOver: () => boolean): Promise<void> {
    // A delete has no condition that says that the key does not exist.
    const isAbsent = write.kind === 'delete' && mod === 0;
    const condition = isAbsent ? null : mod;
    const when: Condition[] = condition === null ? [] : [{ key: write.key, mod: condition }];
    const input = { ...noInput, when, writes: [write], reads: [write.key] };
    await this.#record(input, (options) => writeKey(write, condition, options), isOver);
  }

  async #writeListed(value: string, isOver: () => boolean): Promise<void> {
    const { random } = this.#options;
    const key = random.pick(listedKeys);
    // Large values make history more than one message, or one read of history, holds.
    const padded = random.chance(0.3) ? value.padEnd(largeValueCharacters, '-') : value;
    const write: Write = random.chance(0.25) ? { kind: 'delete', key } : { kind: 'put', key, value: padded };
    await this.#write(write, null, isOver);
  }

  async #get(key: string, serializable: boolean): Promise<void> {
    const input = { ...noInput, reads: [key], serializable };
    await this.#record(input, (options) => getKey(key, { serializable }, options), null);
  }

  // Pairs

  /** Writes both of two keys, if one of them, or both, are as this client last saw them. */
  async #pair(value: string, isOver: () => boolean): Promise<void> {
    const { random } = this.#options;
    const [first, second] = this.#twoKeys();
    const compared = random.pick([[first], [first, second], []]);
    const when = compared.map((key) => ({ key, mod: this.#seen.get(key) ?? 0 }));
    const other: Write = random.chance(0.25) ? { kind: 'delete', key: second } : { kind: 'put', key: second, value };
    const input = {
      ...noInput,
      when,
      writes: [{ kind: 'put' as const, key: first, value }, other],
      reads: [first, second],
    };
    const send = random.chance(0.5) ? transact : transactV3;
    await this.#record(input, (options) => send(input, options), isOver);
  }

  /** A transaction that writes nothing reads both keys at one moment. */
  async #lookAtPair(): Promise<void> {
    const input = { ...noInput, reads: this.#twoKeys() };
    await this.#record(input, (options) => transact(input, options), null);
  }

  #twoKeys(): [string, string] {
    const { random } = this.#options;
    const first = random.pick(pairedKeys);
    return [first, random.pick(pairedKeys.filter((key) => key !== first))];
  }

  // Lists

  /** Lists in pages of one revision: the newest, one that any replica has, or an old one. The first page says which. */
  async #list(): Promise<void> {
    const { random, recorder } = this.#options;
    const kind = random.pick(['newest', 'newest', 'serializable', 'old'] as const);
    const list = {
      prefix: listedPrefix,
      limit: random.integer(2, 7),
      revision: kind === 'old' ? Math.max(1, recorder.revision - random.integer(0, 200)) : null,
      serializable: kind === 'serializable',
    };
    const pairs = new Map<string, SeenPair>();
    const input = { ...noInput, reads: listedKeys, serializable: kind !== 'newest' };
    let next: { cursor: string | null } | null = { cursor: null };
    const call = recorder.nowMs;
    let first: Page | null = null;
    let returned = call;
    for (let attempts = 0; next !== null && attempts < 2 * listedKeys.length; attempts++) {
      const { cursor }: { cursor: string | null } = next;
      const called: Called<Page> = await listPage({ ...list, cursor }, this.#callOptions(null));
      if (called.kind !== 'answered' && first === null) return this.#listEnded(call, input, called);
      if (called.kind !== 'answered') continue;
      first ??= called.value;
      if (cursor === null) returned = recorder.nowMs;
      for (const [key, pair] of called.value.pairs) pairs.set(key, pair);
      if (called.value.revision !== first.revision || called.value.count !== first.count) {
        recorder.unexpected.push(
          `a page at ${called.value.revision} of ${called.value.count} keys; the first at ${first.revision} of ${first.count}`,
        );
      }
      next = called.value.cursor === null ? null : { cursor: called.value.cursor };
    }
    if (first === null || next !== null) return;
    if (pairs.size !== first.count)
      recorder.unexpected.push(`${pairs.size} keys came in pages, ${first.count} were announced`);
    const answer = {
      held: true,
      revision: first.revision,
      deleted: null,
      pairs: listedKeys.map((key) => pairs.get(key) ?? null),
    };
    this.#number = recorder.ended(this.#number, call, input, { kind: 'answered', value: answer }, returned);
  }

  #listEnded(call: number, input: Input, called: Exclude<Called<Page>, { kind: 'answered' }>): void {
    this.#number = this.#options.recorder.ended(this.#number, call, input, called);
  }

  // Asking

  async #record(input: Input, ask: Ask, isOver: (() => boolean) | null): Promise<void> {
    const { recorder, random, repeats } = this.#options;
    const writeId = repeats && isOver !== null ? `w${this.#name}` : null;
    const call = recorder.nowMs;
    let called = await ask(this.#callOptions(writeId));
    const attempts = writeId === null ? 1 : attemptsMax;
    for (let attempt = 1; called.kind === 'lost' && attempt < attempts; attempt++) {
      await sleep(random.exponential(150));
      if (isOver?.() === true) break;
      recorder.count('writes sent again');
      // The refusal of a later attempt says nothing of an earlier attempt.
      const again = await ask(this.#callOptions(writeId));
      if (again.kind === 'answered') called = again;
    }
    if (called.kind === 'unsent') await sleep(unsentPauseMs);
    if (called.kind === 'answered') this.#learn(input, called.value);
    this.#number = recorder.ended(this.#number, call, input, called);
  }

  #learn({ reads, writes }: Input, { pairs, held, deleted }: Answer): void {
    for (const [place, pair] of pairs.entries()) this.#seen.set(reads[place] ?? '', pair?.mod ?? 0);
    if (held && deleted !== null) for (const { kind, key } of writes) if (kind === 'delete') this.#seen.set(key, 0);
  }

  /** Now and then a client stops waiting early, so that its write is under way without it. */
  #callOptions(writeId: string | null): CallOptions {
    const { random, store } = this.#options;
    const waitMs = random.chance(0.02) ? random.pick([5, 20, 100, 500]) : answerWaitMs;
    return { store: store(), writeId, waitMs, nearest: random.chance(0.3) };
  }
}

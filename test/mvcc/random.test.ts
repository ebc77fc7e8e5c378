// The store compared with the naive one: random requests, each answer compared, with restarts, compactions and their
// steps between.

import { describe, expect, it } from 'vitest';
import { compareBytes } from '../../src/base/bytes.ts';
import type { Operation, Outcome, RangeRequest, StoreFailure } from '../../src/model/store.ts';
import { decodeCommands, encodeCommands } from '../../src/mvcc/codec/command-codec.ts';
import { NodeSql } from '../support/node-sql.ts';
import { NaiveFailure, NaiveStore } from './naive-store.ts';
import { RandomOperations } from './random-operations.ts';
import { Fed, keyRange, range, service } from './requests.ts';

/** More are explored with `SEEDS=1000 vitest run test/mvcc/random.test.ts`. */
const seeds = Number(process.env['SEEDS'] ?? 12);
const rounds = 250;

type Result = { readonly failed: StoreFailure['kind'] } | { readonly answer: unknown };

function naively(run: () => unknown): Result {
  try {
    return { answer: run() };
  } catch (error) {
    if (error instanceof NaiveFailure) return { failed: error.failure };
    throw error;
  }
}

function resultOf(outcome: Outcome): Result {
  if (outcome.kind === 'failed') return { failed: outcome.failure.kind };
  if (outcome.kind === 'leaseGrant') return { answer: { id: outcome.id, ttlSeconds: outcome.ttlSeconds } };
  if (outcome.kind === 'alarm') return { answer: outcome.alarms };
  return { answer: 'answer' in outcome ? outcome.answer : null };
}

class Compared {
  readonly #fed = new Fed(new NodeSql());
  readonly #naive = new NaiveStore();
  readonly #random: RandomOperations;
  #written = 0;

  constructor(seed: number) {
    this.#random = new RandomOperations(seed);
  }

  round(): void {
    this.#random.revision = this.#naive.revision;
    this.#write(Array.from({ length: 1 + this.#random.below(4) }, () => this.#random.operation()));
    for (let reads = this.#random.below(4); reads > 0; reads--) this.#read(this.#random.rangeRequest());
    if (this.#random.chance(0.1)) this.#fed.reopen();
    if (this.#random.chance(0.3)) this.#fed.store.compactStep(1 + this.#random.below(20));
    if (this.#random.chance(0.2)) this.#leases();
    if (this.#random.chance(0.1)) this.#history(this.#naive.revision - this.#random.below(20));
  }

  /** Compares everything that can be read. */
  end(): void {
    for (let at = Math.max(1, this.#naive.compacted); at <= this.#naive.revision; at++) {
      this.#read(range(keyRange('\0', '\0'), { revision: at }));
    }
    this.#history(this.#naive.compacted);
    this.#leases();
    expect(this.#fed.store.sizes().keys).toBe(this.#naive.state(this.#naive.revision).size);
  }

  /** The commands are decoded from an entry, as a follower gets them. */
  #write(operations: readonly Operation[]): void {
    const expected = operations.map((operation) => naively(() => this.#naive.do(operation)));
    const commands = operations.map((operation) => ({
      writeId: String(this.#written++),
      caller: service,
      atMs: 1,
      operation,
    }));
    const before = this.#fed.events.length;
    const outcomes = this.#fed.commands(decodeCommands(encodeCommands(commands)));
    expect(outcomes.map(resultOf)).toEqual(expected);
    expect(this.#fed.store).toMatchObject({ revision: this.#naive.revision, compactedRevision: this.#naive.compacted });
    for (const { revision, events } of this.#fed.events.slice(before)) {
      expect(events).toEqual(this.#naive.events.get(revision));
    }
    const last = this.#fed.events.at(-1);
    if (last !== undefined) expect(last.revision).toBe(this.#naive.revision);
  }

  #read(request: RangeRequest): void {
    const result = this.#fed.store.range(request);
    const shown: Result = result.kind === 'failed' ? { failed: result.failure.kind } : { answer: result.answer };
    expect(shown).toEqual(naively(() => this.#naive.range(request)));
  }

  /** The leases, and the keys of each lease. */
  #leases(): void {
    const ids = [...this.#fed.ask<'leases'>({ kind: 'leases' }).ids];
    expect(new Set(ids)).toEqual(new Set(this.#naive.leases.keys()));
    expect(ids).toHaveLength(this.#naive.leases.size);
    const pairs = [...this.#naive.state(this.#naive.revision).values()];
    for (const [id, ttlSeconds] of this.#naive.leases) {
      const keys = pairs.filter((pair) => pair.lease === id).map((pair) => pair.key);
      const answer = this.#fed.ask<'timeToLive'>({ kind: 'timeToLive', id, keys: true });
      expect(answer.lease).toEqual({ ttlSeconds, keys: keys.toSorted(compareBytes) });
    }
    if (this.#random.chance(0.5)) return;
    expect(this.#fed.sql.all('SELECT COUNT(*) FROM lease_keys')).toEqual([
      [pairs.filter((pair) => pair.lease !== 0n).length],
    ]);
  }

  #history(from: number): void {
    const piece = this.#fed.history(from);
    if (from < this.#naive.compacted) expect(piece.kind).toBe('compacted');
    else expect(piece).toMatchObject({ revisions: this.#naive.eventsFrom(from), through: this.#naive.revision });
  }
}

describe('MVCC-MODEL-1: every answer, event and old revision is what a naive store gives', () => {
  for (let seed = 1; seed <= seeds; seed++) {
    it(`seed ${seed}`, () => {
      const compared = new Compared(seed);
      for (let round = 0; round < rounds; round++) compared.round();
      compared.end();
    });
  }
});

describe('MVCC-OVERLAY-4: the same, of a store that keeps point operations in memory between flushes', () => {
  for (let seed = 1; seed <= seeds; seed++) {
    it(`seed ${seed}`, () => {
      const compared = Fed.inMemory(() => new Compared(seed));
      for (let round = 0; round < rounds; round++) compared.round();
      compared.end();
    });
  }
});

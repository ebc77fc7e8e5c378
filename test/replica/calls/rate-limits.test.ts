// How many calls a second a replica takes of its tenant.

import { describe, expect, it } from 'vitest';
import { readOf } from '../../../src/api/requests.ts';
import { emptyBytes, utf8 } from '../../../src/base/bytes.ts';
import { limitBurstSeconds, limitDebtSecondsMax, limitRefusalsWaitingMax } from '../../../src/limits.ts';
import { leaseId, noLease } from '../../../src/model/brands.ts';
import type { CallAnswer, StoreCall } from '../../../src/model/calls.ts';
import type { Caller } from '../../../src/model/store.ts';
import {
  bytesOfAnswer,
  bytesOfCall,
  limitedKind,
  type LimitedKind,
  RateLimits,
} from '../../../src/replica/calls/rate-limits.ts';
import type { LimitTerm } from '../../../src/model/terms.ts';
import { type AnswerContext, answerStoreCall } from '../../../src/replica/calls/store-answers.ts';
import type { Member } from '../../../src/replica/member.ts';
import { Tallies } from '../../../src/replica/tallies.ts';

const caller: Caller = { kind: 'accessKey', id: 'k' };
const key = utf8('a');
const put = { key, value: key, lease: noLease, previous: false, ignoreValue: false, ignoreLease: false };
const read: StoreCall = { kind: 'read', request: readOf({ key, rangeEnd: emptyBytes }) };
const written = (outcome: object): CallAnswer =>
  ({ kind: 'answered', header: {}, outcome: { kind: 'written', outcome: { revision: 1, ...outcome } } }) as never;
const emptyTxn = { compare: [], success: [], failure: [] };
const write: StoreCall = { kind: 'write', writeId: null, operation: { kind: 'put', request: put } };

class Limited {
  nowMs = 5_000;
  perSecond: Partial<Record<LimitedKind | 'bytes', number>> = {};
  burst: Partial<Record<LimitedKind, number>> = {};
  readonly rates = new RateLimits(
    (name) => this.#term(name),
    () => this.nowMs,
    () => this.pause,
  );
  pause: Promise<unknown> = Promise.resolve();

  #term(name: LimitTerm): number | null {
    const terms: Partial<Record<LimitTerm, number | undefined>> = {
      readsPerSecond: this.perSecond.reads,
      writesPerSecond: this.perSecond.writes,
      bytesPerSecond: this.perSecond.bytes,
      readsBurst: this.burst.reads,
      writesBurst: this.burst.writes,
    };
    return terms[name] ?? null;
  }

  taken(kind: LimitedKind, calls: number): number {
    return Array.from({ length: calls }, () => this.rates.refusal(caller, kind)).filter((each) => each === null).length;
  }
}

describe('TENANT-43: the rates of a tenant', () => {
  it('are kept over any time, with limitBurstSeconds of them at once', async () => {
    const limited = new Limited();
    expect(limited.taken('writes', 10_000)).toBe(10_000);
    limited.perSecond = { writes: 10 };
    expect(limited.taken('writes', 100)).toBe(10 * limitBurstSeconds);
    expect(limited.taken('reads', 100)).toBe(100);
    expect(await limited.rates.refusal(caller, 'writes')).toEqual({
      kind: 'rateLimited',
      what: 'writes',
      perSecond: 10,
      seconds: 1,
    });
    limited.nowMs += 99;
    expect(limited.taken('writes', 5)).toBe(0);
    limited.nowMs += 1;
    expect(limited.taken('writes', 5)).toBe(1);
    limited.nowMs += 3_600_000;
    expect(limited.taken('writes', 100)).toBe(10 * limitBurstSeconds);
    let taken = 0;
    for (let ms = 0; ms < 10_000; ms += 7) {
      limited.nowMs += 7;
      taken += limited.taken('writes', 3);
    }
    expect(taken).toBeGreaterThanOrEqual(99);
    expect(taken).toBeLessThanOrEqual(101);
  });

  it('change at once, take one call a second at the least, and never fall behind a clock that goes back', () => {
    const limited = new Limited();
    limited.perSecond = { reads: 1_000 };
    limited.taken('reads', 10);
    limited.perSecond = { reads: 1 };
    expect(limited.taken('reads', 10)).toBe(limitBurstSeconds);
    limited.nowMs -= 60_000;
    expect(limited.taken('reads', 1)).toBe(0);
    limited.nowMs += 1_000;
    expect(limited.taken('reads', 5)).toBe(1);
    limited.perSecond = {};
    expect(limited.taken('reads', 50)).toBe(50);
    limited.perSecond = { reads: 1 };
    expect(limited.taken('reads', 10)).toBe(limitBurstSeconds);
  });

  it('do not count for the service', () => {
    const limited = new Limited();
    limited.perSecond = { writes: 1 };
    for (let call = 0; call < 50; call++) expect(limited.rates.refusal({ kind: 'service' }, 'writes')).toBeNull();
  });

  it('are of reads and of writes, and a txn that only reads is a read', () => {
    const compare = { key, rangeEnd: emptyBytes, target: 'mod', operand: 1, result: 0 } as const;
    const txn = (success: readonly object[]): StoreCall =>
      ({
        kind: 'write',
        writeId: null,
        operation: { kind: 'txn', request: { compare: [compare], success, failure: [] } },
      }) as never;
    const range = { kind: 'range', request: readOf({ key, rangeEnd: emptyBytes }) };
    const keepAlive: StoreCall = { kind: 'query', query: { kind: 'keepAlive', id: leaseId(1n) } };
    expect(limitedKind(keepAlive)).toBeNull();
    expect([read, write, txn([range]), txn([{ kind: 'put', request: put }])].map(limitedKind)).toEqual([
      'reads',
      'writes',
      'reads',
      'writes',
    ]);
  });

  it('refuse a frame of the gateway, and a call of a session, before anything is asked', async () => {
    const limited = new Limited();
    limited.perSecond = { reads: 1, writes: 1 };
    const asked: string[] = [];
    const ask = (what: string) => () => {
      asked.push(what);
      return new Promise<never>(() => undefined);
    };
    const driver = {
      serves: true,
      raft: { role: 'leader', term: 1, leader: 1 },
      store: { suspension: null, revision: 1 },
    };
    const member = {
      members: [],
      isAwake: true,
      nowMs: () => 0,
      leader: ask('leader'),
      read: ask('read'),
      write: ask('write'),
      driver,
    } as unknown as Member;
    const context = { caller, writeId: 'w', askedAs: null, services: { rates: limited.rates, tallies: new Tallies() } };
    for (const [kind, call] of [
      ['reads', read],
      ['writes', write],
    ] as const) {
      limited.taken(kind, limitBurstSeconds);
      const answer = await answerStoreCall(member, call, context as unknown as AnswerContext);
      expect([answer, asked]).toMatchObject([{ outcome: { by: 'service', failure: { kind: 'rateLimited' } } }, []]);
    }
  });
});

it('TENANT-50: a burst of its own is what may be made at once, and the rate is what comes back', () => {
  const limited = new Limited();
  limited.perSecond = { reads: 10, writes: 10 };
  limited.burst = { reads: 100, writes: 1 };
  expect([limited.taken('reads', 500), limited.taken('writes', 500)]).toEqual([100, 1]);
  limited.nowMs += 1_000;
  expect([limited.taken('reads', 500), limited.taken('writes', 500)]).toEqual([10, 1]);
  limited.nowMs += 60_000;
  expect(limited.taken('reads', 500)).toBe(100);
});

describe('TENANT-51: the bytes that a tenant may move in a second', () => {
  it('count once they were moved, and refuse every call until they are earned again', async () => {
    const limited = new Limited();
    limited.perSecond = { bytes: 1_000 };
    expect([limited.taken('reads', 50), limited.taken('writes', 50)]).toEqual([50, 50]);
    limited.rates.moved(() => 1_000 * limitBurstSeconds - 1);
    expect(limited.taken('reads', 5)).toBe(5);
    limited.rates.moved(() => 3_500);
    const refused = { kind: 'rateLimited', what: 'bytes', perSecond: 1_000, seconds: 4 };
    for (const kind of ['reads', 'writes'] as const) expect(await limited.rates.refusal(caller, kind)).toEqual(refused);
    limited.nowMs += 3_499;
    expect(limited.taken('writes', 1)).toBe(0);
    limited.nowMs += 1;
    expect(limited.taken('writes', 1)).toBe(1);
    expect(limited.rates.refusal({ kind: 'service' }, 'reads')).toBeNull();
  });

  it('may be owed for limitDebtSecondsMax, and no longer', () => {
    const limited = new Limited();
    limited.perSecond = { bytes: 1_000 };
    for (let call = 0; call < 3; call++) limited.rates.moved(() => 1e9);
    limited.nowMs += limitDebtSecondsMax * 1_000;
    expect(limited.taken('reads', 1)).toBe(0);
    limited.nowMs += 1;
    expect(limited.taken('reads', 1)).toBe(1);
    expect(new Limited().taken('reads', 5)).toBe(5);
  });

  it('are those of keys and values, in calls and in answers', () => {
    const kv = { key, value: utf8('12345'), createRevision: 1, modRevision: 1, version: 1, lease: noLease } as never;
    const putPart = { kind: 'put', request: { ...put, value: utf8('123') } } as const;
    const txn = {
      compare: [],
      success: [putPart],
      failure: [{ kind: 'txn', request: { ...emptyTxn, success: [putPart] } }],
    };
    const parts = [
      { kind: 'range', answer: { kvs: [kv, kv] } },
      { kind: 'put', answer: { previous: kv } },
      { kind: 'deleteRange', answer: { previous: [kv] } },
      { kind: 'txn', answer: { parts: [{ kind: 'put', answer: { previous: null } }] } },
    ];
    expect([read, write].map(bytesOfCall)).toEqual([0, 2]);
    expect(bytesOfCall({ kind: 'write', writeId: null, operation: { kind: 'txn', request: txn as never } })).toBe(8);
    const range = { kind: 'range', answer: { kvs: [kv], more: false, count: 1 } };
    expect(bytesOfAnswer({ kind: 'answered', header: {}, outcome: range } as never)).toBe(6);
    expect(bytesOfAnswer(written({ kind: 'txn', answer: { succeeded: true, parts } }))).toBe(24);
    expect(bytesOfAnswer(written({ kind: 'put', answer: { previous: kv } }))).toBe(6);
    expect(bytesOfAnswer(written({ kind: 'deleteRange', answer: { deleted: 1, previous: [kv] } }))).toBe(6);
    expect(bytesOfAnswer({ kind: 'absent' })).toBe(0);
  });
});

it('TENANT-54: a refusal comes after a pause, and limitRefusalsWaitingMax of them wait at a time', async () => {
  const limited = new Limited();
  limited.perSecond = { reads: 1 };
  limited.taken('reads', limitBurstSeconds);
  const pause = Promise.withResolvers<void>();
  limited.pause = pause.promise;
  const waiting = Array.from({ length: limitRefusalsWaitingMax }, () => limited.rates.refusal(caller, 'reads'));
  for (const each of waiting) expect(each).toBeInstanceOf(Promise);
  const refused = { kind: 'rateLimited', what: 'reads', perSecond: 1, seconds: 1 };
  expect(limited.rates.refusal(caller, 'reads')).toEqual(refused);
  pause.resolve();
  for (const each of waiting) expect(await each).toEqual(refused);
  expect(limited.rates.refusal(caller, 'reads')).toBeInstanceOf(Promise);
});

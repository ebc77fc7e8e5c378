// How many reads and writes a second a tenant may make on one replica, and how many bytes of keys and values it may
// move, as its terms say. Each has a bucket of tokens, and a call that finds none is refused before anything is done
// for it, in whichever way it comes. The bytes of an answer are known only once it is made, so that bucket may owe
// some. Nothing is stored for it: an instance that has just begun has full buckets.

import type { Failure } from '../../api/errors/failures.ts';
import { limitBurstSeconds, limitDebtSecondsMax, limitRefusalMs, limitRefusalsWaitingMax } from '../../limits.ts';
import type { CallAnswer, StoreCall } from '../../model/calls.ts';
import { isReadOnly } from '../../model/read-only.ts';
import type { Caller, KeyValue, Pairs, TxnAnswer, TxnRequest } from '../../model/store.ts';
import { PackedPairs } from '../../model/codec/packed-pairs.ts';
import type { LimitTerm } from '../../model/terms.ts';

export type LimitedKind = 'reads' | 'writes';
type RateKind = LimitedKind | 'bytes';

const rateTerms: Readonly<Record<RateKind, { readonly perSecond: LimitTerm; readonly burst: LimitTerm | null }>> = {
  reads: { perSecond: 'readsPerSecond', burst: 'readsBurst' },
  writes: { perSecond: 'writesPerSecond', burst: 'writesBurst' },
  bytes: { perSecond: 'bytesPerSecond', burst: null },
};

type Bucket = { tokens: number; atMs: number };
type Filled = Bucket & { readonly perSecond: number };

export class RateLimits {
  /** Null: the term is not set. */
  readonly #term: (name: LimitTerm) => number | null;
  readonly #nowMs: () => number;
  readonly #pause: (delayMs: number) => Promise<unknown>;
  #waiting = 0;
  readonly #buckets: Partial<Record<RateKind, Bucket>> = {};

  constructor(
    term: (name: LimitTerm) => number | null,
    nowMs: () => number,
    pause: (delayMs: number) => Promise<unknown>,
  ) {
    this.#term = term;
    this.#nowMs = nowMs;
    this.#pause = pause;
  }

  /**
   * Takes a token for a call. Null: it may be made. A refusal comes after a pause, in which its caller does not call
   * again. The service's own calls are not limited.
   */
  refusal(caller: Caller, kind: LimitedKind): Failure | null | Promise<Failure> {
    if (caller.kind === 'service') return null;
    const calls = this.#bucket(kind);
    const failure = lacking('bytes', this.#bucket('bytes')) ?? lacking(kind, calls);
    if (failure !== null) return this.#afterPause(failure);
    if (calls !== null) calls.tokens -= 1;
    return null;
  }

  #afterPause(failure: Failure): Failure | Promise<Failure> {
    if (this.#waiting >= limitRefusalsWaitingMax) return failure;
    this.#waiting++;
    return this.#pause(limitRefusalMs).then(() => {
      this.#waiting--;
      return failure;
    });
  }

  /** A call, its answer, or an event had so many bytes. */
  moved(bytes: () => number): void {
    const bucket = this.#bucket('bytes');
    if (bucket === null) return;
    bucket.tokens = Math.max(bucket.tokens - bytes(), -limitDebtSecondsMax * bucket.perSecond);
  }

  /** With what was earned by now. Null: there is no limit. */
  #bucket(kind: RateKind): Filled | null {
    const terms = rateTerms[kind];
    const perSecond = this.#term(terms.perSecond);
    if (perSecond === null) {
      delete this.#buckets[kind];
      return null;
    }
    const burst = terms.burst === null ? null : this.#term(terms.burst);
    const [now, most] = [this.#nowMs(), burst ?? perSecond * limitBurstSeconds];
    const bucket = (this.#buckets[kind] ??= { tokens: most, atMs: now });
    const earned = (Math.max(0, now - bucket.atMs) * perSecond) / 1_000;
    bucket.tokens = Math.min(most, bucket.tokens + earned);
    bucket.atMs = now;
    return Object.assign(bucket, { perSecond });
  }
}

/** Null: there is a token, or no limit. */
function lacking(kind: RateKind, bucket: Filled | null): Failure | null {
  if (bucket === null || bucket.tokens >= 1) return null;
  const { perSecond, tokens } = bucket;
  return { kind: 'rateLimited', what: kind, perSecond, seconds: Math.ceil((1 - tokens) / perSecond) };
}

/** What a call on the store counts as. Null: a keepalive is not counted, because a lease must not end for a limit. */
export function limitedKind(call: StoreCall): LimitedKind | null {
  if (call.kind === 'query' && call.query.kind === 'keepAlive') return null;
  if (call.kind !== 'write') return 'reads';
  return call.operation.kind === 'txn' && isReadOnly(call.operation.request) ? 'reads' : 'writes';
}

/** The bytes of keys and values that a call has. */
export function bytesOfCall(call: StoreCall): number {
  if (call.kind !== 'write') return 0;
  const { operation } = call;
  if (operation.kind === 'put') return bytesOfPair(operation.request);
  return operation.kind === 'txn' ? bytesOfTxn(operation.request) : 0;
}

function bytesOfTxn({ success, failure }: TxnRequest): number {
  let bytes = 0;
  for (const part of [...success, ...failure]) {
    if (part.kind === 'put') bytes += bytesOfPair(part.request);
    else if (part.kind === 'txn') bytes += bytesOfTxn(part.request);
  }
  return bytes;
}

/** The same of its answer. */
export function bytesOfAnswer(answer: CallAnswer): number {
  if (answer.kind !== 'answered') return 0;
  const { outcome } = answer;
  if (outcome.kind === 'range') return bytesOfPairs(outcome.answer.kvs);
  if (outcome.kind !== 'written') return 0;
  const { outcome: written } = outcome;
  if (written.kind === 'put') return bytesOfPrevious(written.answer.previous);
  if (written.kind === 'deleteRange') return bytesOfPairs(written.answer.previous);
  return written.kind === 'txn' ? bytesOfTxnAnswer(written.answer) : 0;
}

function bytesOfTxnAnswer({ parts }: TxnAnswer): number {
  let bytes = 0;
  for (const part of parts) {
    if (part.kind === 'range') bytes += bytesOfPairs(part.answer.kvs);
    else if (part.kind === 'put') bytes += bytesOfPrevious(part.answer.previous);
    else if (part.kind === 'deleteRange') bytes += bytesOfPairs(part.answer.previous);
    else bytes += bytesOfTxnAnswer(part.answer);
  }
  return bytes;
}

function bytesOfPrevious(previous: KeyValue | null): number {
  return previous === null ? 0 : bytesOfPair(previous);
}

function bytesOfPairs(pairs: Pairs): number {
  if (pairs instanceof PackedPairs) return pairs.contentBytes;
  let bytes = 0;
  for (const pair of pairs) bytes += bytesOfPair(pair);
  return bytes;
}

function bytesOfPair({ key, value }: { readonly key: Uint8Array; readonly value: Uint8Array }): number {
  return key.byteLength + value.byteLength;
}

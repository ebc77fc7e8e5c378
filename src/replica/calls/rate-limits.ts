// How many reads and writes a second a tenant may make on one replica, as its terms say. Each has a bucket of tokens
// (`limitBurstSeconds` of the rate), and a call that finds none is refused before anything is done for it, in whichever
// way it comes. Nothing is stored for it: an instance that has just begun has full buckets.

import type { Failure } from '../../api/errors/failures.ts';
import { limitBurstSeconds } from '../../limits.ts';
import type { StoreCall } from '../../model/calls.ts';
import { isReadOnly } from '../../model/read-only.ts';
import type { Caller } from '../../model/store.ts';

export type LimitedKind = 'reads' | 'writes';
/** Null: there is no limit. */
export type PerSecond = (kind: LimitedKind) => number | null;

type Bucket = { tokens: number; atMs: number };

export class RateLimits {
  readonly #perSecond: PerSecond;
  readonly #nowMs: () => number;
  readonly #buckets: Partial<Record<LimitedKind, Bucket>> = {};

  constructor(perSecond: PerSecond, nowMs: () => number) {
    this.#perSecond = perSecond;
    this.#nowMs = nowMs;
  }

  /** Takes a token for a call. Null: it may be made. The service's own calls are not limited. */
  refusal(caller: Caller, kind: LimitedKind): Failure | null {
    const perSecond = caller.kind === 'service' ? null : this.#perSecond(kind);
    if (perSecond === null) {
      delete this.#buckets[kind];
      return null;
    }
    const [now, most] = [this.#nowMs(), perSecond * limitBurstSeconds];
    const bucket = (this.#buckets[kind] ??= { tokens: most, atMs: now });
    const earned = (Math.max(0, now - bucket.atMs) * perSecond) / 1_000;
    bucket.tokens = Math.min(most, bucket.tokens + earned);
    bucket.atMs = now;
    if (bucket.tokens < 1) return { kind: 'rateLimited', what: kind, perSecond };
    bucket.tokens -= 1;
    return null;
  }
}

/** What a call on the store counts as. Null: a keepalive is not counted, because a lease must not end for a limit. */
export function limitedKind(call: StoreCall): LimitedKind | null {
  if (call.kind === 'query' && call.query.kind === 'keepAlive') return null;
  if (call.kind !== 'write') return 'reads';
  return call.operation.kind === 'txn' && isReadOnly(call.operation.request) ? 'reads' : 'writes';
}

// The header Grpc-Timeout as grpc-gateway reads it: a decimal integer of 64 bits and a unit.

import { assert } from '../../base/assert.ts';

const millisecondsPerUnit: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

const form = /^[+-]?[0-9]+[HMSmun]$/;
const int64Max = 9_223_372_036_854_775_807n;

export type GrpcTimeout =
  | { readonly kind: 'none' }
  /** `timeoutMs` is at least 1. */
  | { readonly kind: 'after'; readonly timeoutMs: number }
  /** A negative time-out, whose call is over before it begins. */
  | { readonly kind: 'passed' }
  | { readonly kind: 'malformed'; readonly detail: string };

export function parseGrpcTimeout(header: string | null): GrpcTimeout {
  if (header === null || header === '') return { kind: 'none' };
  const malformed = { kind: 'malformed', detail: `invalid grpc-timeout: ${header}` } as const;
  if (!form.test(header)) return malformed;
  const count = BigInt(header.slice(0, -1));
  if (count > int64Max || count < -int64Max - 1n) return malformed;
  if (count === 0n) return { kind: 'none' };
  if (count < 0n) return { kind: 'passed' };
  const unit = millisecondsPerUnit[header.slice(-1)];
  assert(unit !== undefined, 'the form names the units');
  return { kind: 'after', timeoutMs: Math.max(1, Math.round(Number(count) * unit)) };
}

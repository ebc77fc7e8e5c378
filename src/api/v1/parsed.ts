// The result of parsing something that a client sent.

import type { Failure } from '../errors/failures.ts';

export type Bad = { readonly kind: 'bad'; readonly failure: Failure };
export type Parsed<Value> = { readonly kind: 'parsed'; readonly value: Value } | Bad;

export function parsed<Value>(value: Value): { readonly kind: 'parsed'; readonly value: Value } {
  return { kind: 'parsed', value };
}

export function bad(detail: string): Bad {
  return { kind: 'bad', failure: { kind: 'badRequest', detail } };
}

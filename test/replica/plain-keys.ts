// The access keys of a tenant in the form that tests want, and what is open with each of them.

import type { Failure } from '../../src/api/errors/failures.ts';
import type { Caller } from '../../src/model/store.ts';
import { OpenCalls } from '../../src/replica/open-calls.ts';

export function keyOf(id: string): Caller {
  return { kind: 'accessKey', id };
}

type Later = (task: () => void, delayMs: number) => () => void;

const never: Later = () => () => undefined;

export class PlainKeys {
  readonly revoked = new Set<string>();
  /** Made elsewhere, which this replica has not applied yet, or forgotten. */
  readonly unknown = new Set<string>();
  readonly expiresAtMs = new Map<string, number>();
  /** What the operator has bounded. */
  most: { connections?: number; waits?: number } = {};
  readonly open: OpenCalls;

  constructor(nowMs: () => number = () => 0, later: Later = never) {
    this.open = new OpenCalls({
      most: (what) => this.most[what] ?? null,
      keyFailure: (caller) => this.#failure(caller, nowMs()),
      expiresAtMs: (caller) => this.expiresAtMs.get(idOf(caller)) ?? null,
      nowMs,
      later,
    });
  }

  revoke(id: string): void {
    this.revoked.add(id);
    this.open.keysChanged();
  }

  #failure(caller: Caller, nowMs: number): Failure | null {
    const id = idOf(caller);
    if (this.unknown.has(id)) return { kind: 'unauthenticated', reason: 'unknown' };
    if (this.revoked.has(id)) return { kind: 'unauthenticated', reason: 'revoked' };
    const isExpired = nowMs >= (this.expiresAtMs.get(id) ?? Number.POSITIVE_INFINITY);
    return isExpired ? { kind: 'unauthenticated', reason: 'expired' } : null;
  }
}

function idOf(caller: Caller): string {
  return caller.kind === 'service' ? '' : caller.id;
}

// Whose calls were refused because the operator has suspended their tenant, as far as this isolate knows: for a while
// their next calls are refused here, and wake no object. Callers are remembered and not tenants, because a key that is
// no good is not told what the operator has done. An isolate that did not resume the tenant itself may be wrong for
// `suspendedKnownMs`.

import { isSuspension } from '../api/suspended-answer.ts';
import { suspendedCallersKnownMax, suspendedKnownMs } from '../limits.ts';
import type { Caller, SuspensionFailure } from '../model/store.ts';

export class SuspendedCallers {
  readonly #known = new Map<string, { readonly failure: SuspensionFailure; readonly untilMs: number }>();

  /** Why the caller is refused; null: nothing is known against it. */
  refusal(tenant: string, caller: Caller, nowMs: number): SuspensionFailure | null {
    if (this.#known.size === 0) return null;
    const name = nameOf(tenant, caller);
    const known = name === null ? undefined : this.#known.get(name);
    if (name === null || known === undefined) return null;
    if (nowMs < known.untilMs) return known.failure;
    this.#known.delete(name);
    return null;
  }

  /** The tenant's group has refused a call of this caller. */
  note(tenant: string, caller: Caller, failure: { readonly kind: string }, nowMs: number): void {
    const name = nameOf(tenant, caller);
    if (name === null || !isSuspension(failure)) return;
    if (this.#known.size >= suspendedCallersKnownMax) this.#known.clear();
    this.#known.set(name, { failure, untilMs: nowMs + suspendedKnownMs });
  }

  /** The tenant was resumed, or may have been. */
  forget(tenant: string): void {
    for (const name of this.#known.keys()) if (name.startsWith(`${tenant} `)) this.#known.delete(name);
  }
}

/**
 * The caller by its access key, or as one of the users who logged in without a key, of whom a tenant refuses all alike.
 * null: the service is never refused, and whoever is only logging in was refused for another reason.
 */
function nameOf(tenant: string, caller: Caller): string | null {
  if (caller.kind === 'service') return null;
  if (caller.id !== '') return `${tenant} ${caller.id}`;
  return caller.kind === 'user' ? `${tenant} ` : null;
}

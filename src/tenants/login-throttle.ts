// How often passwords may be guessed. Each failed try counts for several names: its source, its tenant, its user. Once
// a name has more failures than are free, the next try under it waits, twice as long after each failure; a try that
// comes earlier is not looked at, and costs nothing. It knows no clock; whoever asks says what time it is.

import { loginNamesMax, loginsForgottenMs } from '../limits.ts';

/** What is counted, and how patient the service is with it. */
export type ThrottledName = {
  readonly name: string;
  /** So many failures have no consequence. */
  readonly free: number;
  /** The longest that a further try waits, in milliseconds. */
  readonly delayMsMax: number;
  /** Of one user: a success shows that the tries before it were no guesses. */
  readonly isUser: boolean;
};

type Failures = { readonly count: number; readonly lastMs: number; readonly notBeforeMs: number };

const firstDelayMs = 1_000;

export class LoginThrottle {
  /** The least recently failed first. */
  readonly #failures = new Map<string, Failures>();

  /** How long a try under these names must wait, in milliseconds; 0: it may be looked at now. */
  delayMs(names: readonly ThrottledName[], nowMs: number): number {
    let delayMs = 0;
    for (const { name } of names) delayMs = Math.max(delayMs, (this.#of(name, nowMs)?.notBeforeMs ?? 0) - nowMs);
    return delayMs;
  }

  failed(names: readonly ThrottledName[], nowMs: number): void {
    for (const { name, free, delayMsMax } of names) {
      const count = (this.#of(name, nowMs)?.count ?? 0) + 1;
      const delayMs = count <= free ? 0 : Math.min(delayMsMax, firstDelayMs * 2 ** Math.min(count - free - 1, 30));
      this.#failures.delete(name);
      this.#failures.set(name, { count, lastMs: nowMs, notBeforeMs: nowMs + delayMs });
    }
    this.#forgetOldest();
  }

  /** Of others that share a source or a tenant it says nothing. */
  succeeded(names: readonly ThrottledName[]): void {
    for (const { name, isUser } of names) if (isUser) this.#failures.delete(name);
  }

  get size(): number {
    return this.#failures.size;
  }

  #of(name: string, nowMs: number): Failures | null {
    const failures = this.#failures.get(name) ?? null;
    return failures === null || nowMs - failures.lastMs >= loginsForgottenMs ? null : failures;
  }

  #forgetOldest(): void {
    for (const name of this.#failures.keys()) {
      if (this.#failures.size <= loginNamesMax) return;
      this.#failures.delete(name);
    }
  }
}

/** A source that guesses is slowed for all that it asks. */
export function bySource(source: string): ThrottledName {
  return { name: `source ${source}`, free: 10, delayMsMax: 60_000, isUser: false };
}

/** Whoever guesses must not shut the tenant's people out for long. */
export function byTenant(tenant: string): ThrottledName {
  return { name: `tenant ${tenant}`, free: 10, delayMsMax: 5_000, isUser: false };
}

/** The same of one of them. */
export function byUser(tenant: string, user: string): ThrottledName {
  return { name: `user ${tenant} ${user}`, free: 5, delayMsMax: 10_000, isUser: true };
}

/** One user from one source: the likeliest guesser, or somebody who has forgotten a password. */
export function byUserAndSource(tenant: string, user: string, source: string): ThrottledName {
  return { name: `both ${source} ${tenant} ${user}`, free: 5, delayMsMax: 60_000, isUser: true };
}

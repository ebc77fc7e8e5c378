// How often passwords may be guessed. Each failed try counts for several names: its source, its tenant, its user. Once
// a name has more failures than are free, the next try under it must wait, twice as long after each failure. A try that
// comes earlier is not looked at, and costs nothing. This file knows no clock: its caller passes the time.

import { loginNamesMax, loginsForgottenMs } from '../limits.ts';

/** One name under which failures are counted, and how many failures the service bears. */
export type ThrottledName = {
  readonly name: string;
  /** So many failures are free. */
  readonly free: number;
  /** The longest time that a further try waits, in milliseconds. */
  readonly delayMsMax: number;
  /** True: the name is that of one user, so a success shows that the tries before it were no guesses. */
  readonly isUser: boolean;
};

type Failures = { readonly count: number; readonly lastMs: number; readonly notBeforeMs: number };

const firstDelayMs = 1_000;

export class LoginThrottle {
  /** The name that failed longest ago comes first. */
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

  /** The success of one user says nothing of others that share its source or its tenant. */
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

/** The source of the tries. A source that guesses is slowed for every user that it tries. */
export function bySource(source: string): ThrottledName {
  return { name: `source ${source}`, free: 10, delayMsMax: 60_000, isUser: false };
}

/** The tenant. Its wait is short: whoever guesses must not shut the tenant's other users out for long. */
export function byTenant(tenant: string): ThrottledName {
  return { name: `tenant ${tenant}`, free: 10, delayMsMax: 5_000, isUser: false };
}

/** The user, from any source. Its wait is short for the same reason. */
export function byUser(tenant: string, user: string): ThrottledName {
  return { name: `user ${tenant} ${user}`, free: 5, delayMsMax: 10_000, isUser: true };
}

/** One user from one source: most likely somebody who guesses, or somebody who has forgotten a password. */
export function byUserAndSource(tenant: string, user: string, source: string): ThrottledName {
  return { name: `both ${source} ${tenant} ${user}`, free: 5, delayMsMax: 60_000, isUser: true };
}

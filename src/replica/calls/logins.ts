// What one replica knows of logins from call to call: the keys that passwords and tokens are checked with, the recent
// failures, and how much of its thread logins may still take.

import { loginsBurstMax, loginsPerSecondMax, passwordsHashedMax } from '../../limits.ts';
import type { KeyRing } from '../../tenants/key-text.ts';
import { LoginThrottle } from '../../tenants/login-throttle.ts';
import type { TokenRing } from '../../tenants/token-text.ts';

export class Logins {
  readonly keys: KeyRing;
  readonly tokens: TokenRing;
  readonly throttle = new LoginThrottle();
  #hashing = 0;
  /** The number of logins that may be looked at now, and the time at which that was so. */
  #mayLogin = { logins: loginsBurstMax, atMs: 0 };

  constructor(keys: KeyRing, tokens: TokenRing) {
    this.keys = keys;
    this.tokens = tokens;
  }

  /** False: this replica has looked at as many passwords as it may for now. */
  takeLogin(nowMs: number): boolean {
    const { logins, atMs } = this.#mayLogin;
    const sinceMs = Math.max(0, nowMs - atMs);
    const left = Math.min(loginsBurstMax, logins + (sinceMs * loginsPerSecondMax) / 1_000);
    this.#mayLogin = { logins: left < 1 ? left : left - 1, atMs: nowMs };
    return left >= 1;
  }

  /** Each hash keeps the thread for some 20 ms. */
  async withinBound<Value>(work: () => Promise<Value>): Promise<Value | 'overloaded'> {
    if (this.#hashing >= passwordsHashedMax) return 'overloaded';
    this.#hashing++;
    try {
      return await work();
    } finally {
      this.#hashing--;
    }
  }
}

// A login without a header that names the tenant. The message of /v3/auth/authenticate names it: its password is an
// access key of the tenant, or its name is `user@tenant`. The tenant's group says whether name and password are right.
// How often they may be guessed is limited here, before any group is woken. No answer tells whether the tenant, the
// user or the password is wrong.

import { failureResponse } from '../api/errors/errors.ts';
import { decodeCredential } from '../api/v3/auth.ts';
import { loginRefusedMsMin } from '../limits.ts';
import {
  bySource,
  byTenant,
  byUser,
  byUserAndSource,
  LoginThrottle,
  type ThrottledName,
} from '../tenants/login-throttle.ts';
import type { Identified, Identities } from '../tenants/identities.ts';

/** The HTTP status that v3 gives the failure `authenticationFailed`. */
const refusedLoginStatus = 400;
/**
 * Cloudflare's edge sets this header to the address of the client, whatever the client sends. Elsewhere it may be
 * absent.
 */
const sourceHeader = 'CF-Connecting-IP';
const userAtTenant = /@([a-z0-9]{1,32})$/;

/** `user` is null where the password is an access key, which nobody guesses. */
export type Login = Extract<Identified, { readonly kind: 'caller' }> & { readonly user: string | null };

/** The tenant and the caller that the message names; null where it names no tenant. */
export function identifyLogin(identities: Identities, body: ArrayBuffer): Login | null {
  const credential = decodeCredential(new Uint8Array(body));
  if (credential === null) return null;
  const key = identities.keyOf(credential.password);
  if (key !== null) {
    return { kind: 'caller', tenant: key.tenant, caller: { kind: 'accessKey', id: key.keyId }, user: null };
  }
  const [, tenant] = userAtTenant.exec(credential.name) ?? [];
  if (tenant === undefined) return null;
  const user = credential.name.slice(0, -tenant.length - 1);
  return { kind: 'caller', tenant, caller: { kind: 'anonymous', id: '', token: 'none' }, user };
}

/** Delays logins by name and password, of those that came to this isolate. */
export class GuardedLogins {
  readonly #throttle = new LoginThrottle();
  readonly #nowMs: () => number;
  readonly #wait: (delayMs: number) => Promise<void>;

  constructor(nowMs: () => number, wait: (delayMs: number) => Promise<void>) {
    this.#nowMs = nowMs;
    this.#wait = wait;
  }

  /** `ask` asks the group of the tenant, if there is one. */
  async guard(
    request: Request,
    { tenant, user }: { readonly tenant: string; readonly user: string },
    ask: () => Promise<Response>,
  ): Promise<Response> {
    const beganMs = this.#nowMs();
    const names = namesOf(request, tenant, user);
    const delayMs = this.#throttle.delayMs(names, beganMs);
    if (delayMs > 0) return failureResponse('v3', { kind: 'loginDelayed', seconds: Math.ceil(delayMs / 1_000) });
    const response = await ask();
    if (response.ok) {
      this.#throttle.succeeded(names);
      return response;
    }
    if (response.status === refusedLoginStatus) this.#throttle.failed(names, this.#nowMs());
    await this.#wait(Math.max(0, beganMs + loginRefusedMsMin - this.#nowMs()));
    return response;
  }
}

function namesOf(request: Request, tenant: string, user: string): readonly ThrottledName[] {
  const source = request.headers.get(sourceHeader);
  const names = [byTenant(tenant), byUser(tenant, user)];
  return source === null ? names : [...names, bySource(source), byUserAndSource(tenant, user, source)];
}

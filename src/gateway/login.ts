// Logging in without a header that names the tenant: the message of /v3/auth/authenticate does. Its password may be a key of the
// tenant, or its name `user@tenant`. Whether they are right is for the tenant's group to say.

import { decodeCredential } from '../api/v3/auth.ts';
import type { Identified, Identities } from './credentials.ts';

const loginPaths: ReadonlySet<string> = new Set(['/v3/auth/authenticate', '/v3beta/auth/authenticate']);
const userAtTenant = /@([a-z0-9]{1,32})$/;

export function isLoginPath(path: string): boolean {
  return loginPaths.has(path);
}

/** Whom the message names; null: nobody that could be found. */
export function identifyLogin(identities: Identities, body: ArrayBuffer): Identified | null {
  const credential = decodeCredential(new Uint8Array(body));
  if (credential === null) return null;
  const key = identities.keyOf(credential.password);
  if (key !== null) return { kind: 'caller', tenant: key.tenant, caller: { kind: 'accessKey', id: key.keyId } };
  const [, tenant] = userAtTenant.exec(credential.name) ?? [];
  return tenant === undefined ? null : { kind: 'caller', tenant, caller: { kind: 'anonymous', id: '', token: 'none' } };
}

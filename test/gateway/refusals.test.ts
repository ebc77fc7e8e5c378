// What the gateway may tell of a write that it sent more than once: it may call the write refused only where no attempt
// can have done it.

import { describe, expect, it } from 'vitest';
import { failureResponse } from '../../src/api/errors/errors.ts';
import { leaderHeader, membersHeader, redirectStatus } from '../../src/api/redirects.ts';
import { Identities } from '../../src/gateway/credentials.ts';
import type { ReplicaNamespace } from '../../src/gateway/env.ts';
import { GroupRouter } from '../../src/gateway/group-router.ts';
import { StoreCalls } from '../../src/gateway/store-calls.ts';
import { KeyRing } from '../../src/tenants/key-text.ts';
import { Signatures } from '../../src/tenants/signatures.ts';
import { TokenRing } from '../../src/tenants/token-text.ts';

type Behaviour = () => Promise<Response>;

const overloaded: Behaviour = () => Promise.resolve(failureResponse('v1', { kind: 'overloaded' }));
const noSpace: Behaviour = () => Promise.resolve(failureResponse('v3', { kind: 'noSpace' }));
const breaks: Behaviour = () => Promise.reject(Object.assign(new Error('gone'), { durableObjectReset: true }));
/** The replica led, proposed the write, and does not know what became of it. */
const knowsNoLeader: Behaviour = () =>
  Promise.resolve(
    new Response(null, { status: redirectStatus, headers: { [leaderHeader]: '0', [membersHeader]: '1,2,3' } }),
  );

async function statusOfPut(path: string, ...replicas: readonly Behaviour[]): Promise<number> {
  const signatures = new Signatures('a secret of the tests');
  const keys = new KeyRing(signatures);
  const namespace = {
    idFromName: (name: string) => name,
    get: (id: string) => ({ fetch: () => (replicas[Number(id.split('/')[1]) - 1] ?? breaks)() }),
  };
  const router = new GroupRouter(namespace as unknown as ReplicaNamespace, () => Promise.resolve([]));
  const calls = new StoreCalls(new Identities(keys, new TokenRing(signatures)), router);
  const headers = { 'Quorate-Key': keys.issue({ tenant: 'a', keyId: 'b' }) };
  const request = new Request(`http://quorate.test${path}`, { method: 'PUT', headers, body: 'x' });
  return (await calls.serve(request)).status;
}

describe('a write that was sent more than once', () => {
  it('GATEWAY-13: is not called refused by one replica where another one may have begun it', async () => {
    expect(await statusOfPut('/v1/kv/a', breaks, overloaded)).toBe(504);
    expect(await statusOfPut('/v1/kv/a', knowsNoLeader, overloaded)).toBe(504);
  });

  it('GATEWAY-13: is called refused where the refusal is of its only attempt, or the group’s decision', async () => {
    expect(await statusOfPut('/v1/kv/a', overloaded)).toBe(429);
    expect(await statusOfPut('/v3/kv/put', breaks, noSpace)).toBe(429);
  });
});

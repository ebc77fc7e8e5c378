// What the gateway does for callers whose tenant it knows to be suspended.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { failureResponse } from '../../src/api/errors/errors.ts';
import { suspendedHeader } from '../../src/api/forwarded.ts';
import { refusedByStore } from '../../src/api/store-call.ts';
import { withSuspension } from '../../src/api/suspended-answer.ts';
import type { ReplicaNamespace } from '../../src/gateway/env.ts';
import { GroupRouter } from '../../src/gateway/group-router.ts';
import { StoreCalls } from '../../src/gateway/store-calls.ts';
import { SuspendedCallers } from '../../src/gateway/suspended-callers.ts';
import { suspendedCallersKnownMax, suspendedKnownMs } from '../../src/limits.ts';
import type { Caller } from '../../src/model/store.ts';
import { encodeAnswer } from '../../src/session/answer-codec.ts';
import { Identities } from '../../src/tenants/identities.ts';
import { KeyRing } from '../../src/tenants/key-text.ts';
import { Signatures } from '../../src/tenants/signatures.ts';
import { TokenRing } from '../../src/tenants/token-text.ts';

const signatures = new Signatures('a secret of the tests');
const keys = new KeyRing(signatures);
const header = { clusterId: '1', memberId: '2', raftTerm: 3, revision: 4 };
const suspended = { kind: 'tenantSuspended' } as const;
const key = (id: number): Caller => ({ kind: 'accessKey', id: String(id) });
const frames = ['PUT', '/v1/kv/a', 'GET', '/v1/kv/a', 'POST', '/v3/kv/range'];
const requests = ['GET', '/v1/watch', 'GET', '/v1/status', 'POST', '/v3/lock/lock', 'GET', '/v1/session?replica=2'];

/** A gateway before a group that is suspended, and the number of the group's objects that were asked. */
function gateway(): { asked: () => number; call: (method: string, path: string, keyId?: string) => Promise<Response> } {
  let asked = 0;
  const answer = encodeAnswer({ kind: 'answered', header, outcome: refusedByStore(suspended) });
  const stub = {
    ask: () => {
      asked++;
      return Promise.resolve({ replica: 1, answer });
    },
    fetch: () => {
      asked++;
      return Promise.resolve(withSuspension(failureResponse('v1', suspended), suspended));
    },
  };
  const namespace = { idFromName: (name: string) => name, get: () => stub };
  const router = new GroupRouter(namespace as unknown as ReplicaNamespace, () => Promise.resolve([]));
  const calls = new StoreCalls(new Identities(keys, new TokenRing(signatures)), router);
  return {
    asked: () => asked,
    call: (method, path, keyId = 'k') => {
      const headers = { 'Quorate-Key': keys.issue({ tenant: 'a', keyId }) };
      const body = method === 'GET' ? {} : { body: '{"key":"YQ==","name":"YQ=="}' };
      return calls.serve(new Request(`http://quorate.test${path}`, { method, headers, ...body }));
    },
  };
}

describe('TENANT-33: a caller who was refused because its tenant is suspended', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it.each([
    ['frames', frames],
    ['requests', requests],
  ])('asks nothing of the group for suspendedKnownMs, in %s', async (_, paths) => {
    for (let at = 0; at < paths.length; at += 2) {
      const [method = '', path = ''] = paths.slice(at);
      const { asked, call } = gateway();
      const answers = [await call(method, path), await call(method, path)];
      for (const response of answers) {
        expect([path, response.status, response.headers.get(suspendedHeader)]).toEqual([path, 403, null]);
        expect(await response.text()).toContain('suspended');
      }
      expect([path, asked()]).toEqual([path, 1]);
      expect((await call(method, path, 'another')).status).toBe(403);
      expect([path, asked()]).toEqual([path, 2]);
      vi.advanceTimersByTime(suspendedKnownMs - 1);
      await call(method, path);
      expect([path, asked()]).toEqual([path, 2]);
      vi.advanceTimersByTime(1);
      await call(method, path);
      expect([path, asked()]).toEqual([path, 3]);
    }
  });

  it('is one of suspendedCallersKnownMax, and is forgotten when the tenant is resumed', () => {
    const known = new SuspendedCallers();
    const user: Caller = { kind: 'user', id: '', name: 'u', authRevision: 1 };
    known.note('a', user, suspended, 0);
    known.note('b', user, suspended, 0);
    for (let id = 2; id < suspendedCallersKnownMax; id++) known.note('a', key(id), suspended, 0);
    expect([known.refusal('a', user, 1), known.refusal('a', key(2), 1)]).toEqual([suspended, suspended]);
    known.forget('a');
    expect([known.refusal('a', user, 1), known.refusal('a', key(2), 1)]).toEqual([null, null]);
    expect(known.refusal('b', user, 1)).toEqual(suspended);
    for (let id = 1; id < suspendedCallersKnownMax; id++) known.note('a', key(id), suspended, 0);
    expect(known.refusal('b', user, 1)).toEqual(suspended);
    known.note('a', key(0), suspended, 0);
    expect([known.refusal('b', user, 1), known.refusal('a', key(0), 1)]).toEqual([null, suspended]);
  });

  it('is neither the service nor whoever only logs in, and was refused for no other reason', () => {
    const known = new SuspendedCallers();
    const others: Caller[] = [{ kind: 'service' }, { kind: 'anonymous', id: '', token: 'none' }];
    for (const caller of others) {
      known.note('a', caller, suspended, 0);
      expect(known.refusal('a', caller, 1)).toBeNull();
    }
    known.note('a', key(1), { kind: 'forbidden' }, 0);
    expect(known.refusal('a', key(1), 1)).toBeNull();
  });
});

// What the gateway may tell of a write that it sent more than once: it may call the write refused only where no attempt
// can have done it.

import { describe, expect, it, vi } from 'vitest';
import { failureResponse } from '../../src/api/errors/errors.ts';
import { mayBeAloneHeader } from '../../src/api/forwarded.ts';
import { leaderHeader, membersHeader, redirectStatus } from '../../src/api/redirects.ts';
import { requestTimeoutMs } from '../../src/limits.ts';
import { Identities } from '../../src/tenants/identities.ts';
import type { ReplicaNamespace } from '../../src/gateway/env.ts';
import { GroupRouter } from '../../src/gateway/group-router.ts';
import { StoreCalls } from '../../src/gateway/store-calls.ts';
import { KeyRing } from '../../src/tenants/key-text.ts';
import { Signatures } from '../../src/tenants/signatures.ts';
import { TokenRing } from '../../src/tenants/token-text.ts';

/** `mayBeAlone`: as its attempt says. */
type Behaviour = (mayBeAlone: boolean) => Promise<Response>;

const overloaded: Behaviour = () => Promise.resolve(failureResponse('v1', { kind: 'overloaded' }));
const noSpace: Behaviour = () => Promise.resolve(failureResponse('v3', { kind: 'noSpace' }));
const breaks: Behaviour = () => Promise.reject(Object.assign(new Error('gone'), { durableObjectReset: true }));
/** The replica led, proposed the write, and does not know what became of it. */
const knowsNoLeader: Behaviour = () => sendsTo('0');
const sendsTo = (leader: string): Promise<Response> => {
  const headers = { [leaderHeader]: leader, [membersHeader]: '1,2,3' };
  return Promise.resolve(new Response(null, { status: redirectStatus, headers }));
};

async function statusOfPut(path: string, ...replicas: readonly Behaviour[]): Promise<number> {
  const signatures = new Signatures('a secret of the tests');
  const keys = new KeyRing(signatures);
  const namespace = {
    idFromName: (name: string) => name,
    get: (id: string) => ({
      // Its code is of the version before this one.
      ask: () => Promise.reject(new TypeError('The RPC receiver does not implement the method "ask".')),
      fetch: (_: string, { headers }: { headers: Headers }) =>
        (replicas[Number(id.split('/')[1]) - 1] ?? breaks)(headers.has(mayBeAloneHeader)),
    }),
  };
  const router = new GroupRouter(namespace as unknown as ReplicaNamespace, () => Promise.resolve([]));
  const calls = new StoreCalls(new Identities(keys, new TokenRing(signatures)), router);
  const headers = { 'Quorate-Key': keys.issue({ tenant: 'a', keyId: 'b' }) };
  const request = new Request(`http://quorate.test${path}`, { method: 'PUT', headers, body: 'x' });
  return (await calls.serve(request)).status;
}

const denied = (): Promise<Response> => Promise.resolve(failureResponse('v1', { kind: 'permissionDenied' }));
const deniedAfter = async (afterMs: number): Promise<Response> => {
  await new Promise((resolve) => {
    setTimeout(resolve, afterMs);
  });
  return denied();
};

describe('a write that was sent more than once', () => {
  it('GATEWAY-13: is not called refused by one replica where another one may have begun it', async () => {
    expect(await statusOfPut('/v1/kv/a', breaks, overloaded)).toBe(504);
    expect(await statusOfPut('/v1/kv/a', knowsNoLeader, overloaded)).toBe(504);
  });

  it('GATEWAY-13: is called refused where the refusal is of its only attempt, or the group’s decision', async () => {
    expect(await statusOfPut('/v1/kv/a', overloaded)).toBe(429);
    expect(await statusOfPut('/v3/kv/put', breaks, noSpace)).toBe(429);
  });

  it('GATEWAY-13: is called refused by the leader that another replica named', async () => {
    expect(await statusOfPut('/v1/kv/a', () => sendsTo('2'), overloaded)).toBe(429);
  });

  describe('GATEWAY-29: says of each attempt whether it may be refused alone', () => {
    it('which it may until nobody knows what became of another one', async () => {
      const asked: (readonly [number, boolean])[] = [];
      const noting =
        (replica: number, then: () => Promise<Response>): Behaviour =>
        (mayBeAlone) => {
          asked.push([replica, mayBeAlone]);
          return then();
        };
      expect(await statusOfPut('/v1/kv/a', noting(1, denied))).toBe(403);
      const named = [noting(1, () => sendsTo('2')), noting(2, denied)];
      expect(await statusOfPut('/v1/kv/a', ...named)).toBe(403);
      expect(
        await statusOfPut(
          '/v1/kv/a',
          noting(1, () => breaks(false)),
          noting(2, denied),
        ),
      ).toBe(403);
      expect(
        await statusOfPut(
          '/v1/kv/a',
          noting(1, () => sendsTo('0')),
          noting(2, denied),
        ),
      ).toBe(403);
      expect(asked).toEqual([
        [1, true],
        [1, true],
        [2, true],
        [1, true],
        [2, false],
        [1, true],
        [2, false],
      ]);
    });

    it('and a refusal is the last word once all others were refused, too, else the next attempt is decided in the log', async () => {
      vi.useFakeTimers();
      try {
        const asked: string[] = [];
        /** Slow at first: it is asked once more meanwhile, by way of another one. */
        const leader =
          (first: () => Promise<Response>): Behaviour =>
          (mayBeAlone) => {
            asked.push(mayBeAlone ? 'may be alone' : 'in the log');
            return asked.length === 1 ? first() : deniedAfter(1);
          };
        const follower: Behaviour = () => sendsTo('1');
        const statusWith = async (first: () => Promise<Response>): Promise<number> => {
          asked.length = 0;
          const status = statusOfPut('/v1/kv/a', leader(first), follower, follower);
          await vi.advanceTimersByTimeAsync(requestTimeoutMs - 1);
          return status;
        };
        expect(await statusWith(() => deniedAfter(1_500))).toBe(403);
        expect(asked).toEqual(['may be alone', 'may be alone']);
        expect(await statusWith(() => new Promise(() => undefined))).toBe(403);
        expect(asked).toEqual(['may be alone', 'may be alone', 'in the log']);
      } finally {
        vi.useRealTimers();
      }
    });
  });
});

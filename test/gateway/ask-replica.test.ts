// The gateway's own requests, asked of objects of the present code and of the version before, with stubs in their
// place.

import { expect, it } from 'vitest';
import {
  askFrameCall,
  askObject,
  groupCall,
  isUnknownRequest,
  UnknownRequestError,
} from '../../src/gateway/ask-replica.ts';
import { toLeader } from '../../src/routing/attempts.ts';
import type { FrameCall } from '../../src/api/replica-request.ts';
import type { ReplicaStub } from '../../src/gateway/env.ts';

const frameCall: FrameCall = {
  kind: 'call',
  call: new Uint8Array(1),
  caller: { kind: 'accessKey', id: 'k' },
  writeId: 'w',
  mayBeAlone: true,
  askedAs: null,
  timeoutMs: null,
  failedLeader: 0,
  suspectedLeader: 0,
};

const nothingElse = { fetch: () => Promise.reject(new Error('a request is no call of a client')) };

/** A stub that knows these methods, and notes how they are called. */
function stubWith(...known: readonly string[]): { readonly stub: ReplicaStub; readonly called: unknown[] } {
  const called: unknown[] = [];
  const stub = new Proxy(nothingElse, {
    get: (_, name) => (said: unknown) => {
      if (!known.includes(String(name))) {
        return Promise.reject(new TypeError(`The RPC receiver does not implement the method "${String(name)}".`));
      }
      called.push([name, said]);
      return Promise.resolve(`answer of ${String(name)}`);
    },
  });
  // A stub of the platform has a method of any name.
  return { stub: stub as unknown as ReplicaStub, called };
}

it('GATEWAY-28: every request is one method of the object', async () => {
  const { stub, called } = stubWith('ask', 'wipe', 'replicas');
  expect(await askObject(stub, { kind: 'wipe' })).toBe('answer of ask');
  const told = { ...toLeader, failed: 2, suspected: 3 };
  expect(await groupCall('hedged', { kind: 'replicas' }).ask(stub, told, null)).toBe('answer of ask');
  expect(called).toEqual([
    ['ask', { kind: 'wipe' }],
    ['ask', { kind: 'replicas', failedLeader: 2, suspectedLeader: 3 }],
  ]);
});

it('GATEWAY-28: an object whose code is of the version before is asked by the method that it has', async () => {
  const { stub, called } = stubWith('retire', 'removeReplica');
  expect(await askObject(stub, { kind: 'retire' })).toBe('answer of retire');
  const removal = { kind: 'removeReplica', number: 4, force: true } as const;
  expect(await groupCall('bounded', removal).ask(stub, toLeader, null)).toBe('answer of removeReplica');
  expect(called).toMatchObject([
    ['retire', {}],
    ['removeReplica', { number: 4, force: true, failedLeader: 0, suspectedLeader: 0 }],
  ]);
});

it.each([
  ['says so', () => Promise.resolve({ kind: 'unknownRequest' })],
  ['throws', () => Promise.reject(Object.assign(new Error('unreachable: {"kind":"whoami"}'), { remote: true }))],
])('GATEWAY-28: an object that does not know the kind of a request %s, and the gateway can tell', async (_, ask) => {
  const stub = { ...stubWith().stub, ask } as unknown as ReplicaStub;
  const asked = groupCall('hedged', { kind: 'whoami', id: 'k' }).ask(stub, toLeader, null);
  await expect(asked).rejects.toMatchObject({ failure: { kind: 'groupLevelTooLow', what: 'This call (whoami)' } });
  const error: unknown = await askFrameCall(stub, frameCall).catch((thrown: unknown) => thrown);
  expect(isUnknownRequest(error)).toBe(true);
});

it('GATEWAY-28: an object with neither the method `ask` nor that of the request is told apart from an outage', async () => {
  const { stub } = stubWith('wipe');
  const asked = groupCall('hedged', { kind: 'whoami', id: 'k' }).ask(stub, toLeader, null);
  await expect(asked).rejects.toBeInstanceOf(UnknownRequestError);
});

it('GATEWAY-28: what fails for another reason is asked no second time', async () => {
  const { stub } = stubWith();
  const failing = { ...stub, ask: () => Promise.reject(new TypeError('it is broken')) };
  await expect(askObject(failing, { kind: 'wipe' })).rejects.toThrow('it is broken');
});

// The lease that a call for a lock makes for itself: its id, and who can know that id.

import { expect, it } from 'vitest';
import type { Caller } from '../../../src/model/store.ts';
import { type Queuing, sessionLease } from '../../../src/replica/lock/lock-calls.ts';
import { Signatures } from '../../../src/tenants/signatures.ts';

type Call = {
  readonly secret?: string;
  readonly tenant?: string;
  readonly caller?: Caller;
  readonly writeId?: string | null;
  readonly gatewaysId?: string;
};

const key: Caller = { kind: 'accessKey', id: 'a' };

function leaseFor({ secret = 'secret', tenant = 't', caller = key, writeId = 'i1', gatewaysId = 'g1' }: Call): bigint {
  const queuing = {
    member: { identity: { tenant } },
    context: { caller, writeId: gatewaysId, services: { signatures: new Signatures(secret) } },
    call: { protocol: 'v1', writeId },
  };
  return sessionLease(queuing as unknown as Queuing);
}

function user(name: string): Caller {
  return { kind: 'user', id: '', name, authRevision: 1 };
}

it('LOCK-40: the lease that a call makes follows from the caller and the call’s id, so that a repeated call finds it', () => {
  expect(leaseFor({ gatewaysId: 'g2' })).toBe(leaseFor({}));
  expect(leaseFor({ writeId: null })).toBe(leaseFor({ writeId: null }));
  const others: readonly Call[] = [
    { writeId: 'i2' },
    { writeId: null },
    { writeId: null, gatewaysId: 'g2' },
    { writeId: 'g1' },
    { tenant: 'u' },
    { caller: { kind: 'accessKey', id: 'b' } },
    { caller: user('ann') },
    { caller: user('bob') },
  ];
  const ids = [leaseFor({}), ...others.map(leaseFor)];
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(id > 0n && id <= 2n ** 52n).toBe(true);
});

it('LOCK-40: nobody can compute it, and take it first, without the secret of the service', () => {
  expect(leaseFor({ secret: 'another' })).not.toBe(leaseFor({}));
});

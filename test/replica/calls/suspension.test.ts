// Calls for a suspended tenant that come as frames and on sessions: what is asked of the replica for them.

import { describe, expect, it } from 'vitest';
import { readOf } from '../../../src/api/requests.ts';
import { emptyBytes, utf8 } from '../../../src/base/bytes.ts';
import { leaseId, noLease } from '../../../src/model/brands.ts';
import type { StoreCall } from '../../../src/model/calls.ts';
import { type AnswerContext, answerStoreCall } from '../../../src/replica/calls/store-answers.ts';
import { answerGroupRequest } from '../../../src/replica/group-requests.ts';
import type { Member } from '../../../src/replica/member.ts';
import { Tallies } from '../../../src/replica/tallies.ts';

const key = utf8('a');
const put = { key, value: key, lease: noLease, previous: false, ignoreValue: false, ignoreLease: false };
const calls: readonly StoreCall[] = [
  { kind: 'write', writeId: null, operation: { kind: 'put', request: put } },
  { kind: 'read', request: readOf({ key, rangeEnd: emptyBytes }) },
  { kind: 'query', query: { kind: 'keepAlive', id: leaseId(1n) } },
  { kind: 'query', query: { kind: 'timeToLive', id: leaseId(1n), keys: false } },
];
const context = {
  caller: { kind: 'accessKey', id: 'key' },
  writeId: 'w',
  askedAs: null,
  services: { tallies: new Tallies() },
} as unknown as AnswerContext;

/** A replica of a suspended tenant that says what was asked of it. */
function replica(state: { readonly role: string; readonly isAwake: boolean }): { member: Member; asked: string[] } {
  const asked: string[] = [];
  const ask = (what: string) => () => {
    asked.push(what);
    return new Promise<never>(() => undefined);
  };
  const store = {
    suspension: { kind: 'tenantSuspended' },
    revision: 1,
    authorizeKey: () => ({ kind: 'tenantSuspended' }),
  };
  const raft = { role: state.role, term: 1, leader: 1 };
  const member = {
    clusterId: '1',
    memberId: '1',
    members: [],
    isAwake: state.isAwake,
    nowMs: () => 0,
    leader: ask('leader'),
    read: ask('read'),
    write: ask('write'),
    driver: { serves: true, raft, store },
  };
  return { member: member as unknown as Member, asked };
}

describe('TENANT-32: a call for a suspended tenant is refused before anything is done for it', () => {
  for (const state of [
    { role: 'leader', isAwake: true },
    { role: 'follower', isAwake: false },
  ]) {
    it(`by a ${state.role}`, async () => {
      for (const call of calls) {
        const { member, asked } = replica(state);
        const answer = await Promise.race([
          answerStoreCall(member, call, context),
          new Promise((resolve) => void setTimeout(resolve, 50)),
        ]);
        expect([answer, asked]).toMatchObject([{ outcome: { failure: { kind: 'tenantSuspended' } } }, []]);
      }
    });

    it(`by a ${state.role}, where the gateway asks in the name of a key`, async () => {
      const caller = { kind: 'accessKey', id: 'key' } as const;
      const doubted = { failedLeader: 0, suspectedLeader: 0 };
      const operation = { kind: 'revokeAccessKey', id: 'key' } as const;
      for (const request of [
        { kind: 'accessKeys', caller, ...doubted },
        { kind: 'administer', caller, writeId: 'w', operation, ...doubted },
      ] as const) {
        const { member, asked } = replica(state);
        const answer = await Promise.race([
          answerGroupRequest(member, request),
          new Promise((resolve) => void setTimeout(resolve, 50)),
        ]);
        expect([answer, asked]).toMatchObject([{ value: { failure: { kind: 'tenantSuspended' } } }, []]);
      }
    });
  }
});

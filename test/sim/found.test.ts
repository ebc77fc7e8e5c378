// What the simulator found, each as the smallest run that shows it.

import { describe, expect, it } from 'vitest';
import { logIndex, noLease, replicaId, term } from '../../src/brands.ts';
import { emptyBytes, utf8 } from '../../src/bytes.ts';
import { permissionType } from '../../src/auth-model.ts';
import type { Caller, Command, Operation } from '../../src/model.ts';
import { Store } from '../../src/mvcc/store.ts';
import { foundingConfiguration } from '../../src/raft/configuration.ts';
import { Raft } from '../../src/raft/raft.ts';
import { NodeSql } from '../support/node-sql.ts';

describe('found by the simulator', () => {
  it('SIM-FOUND-1: the answer to an old leader does not pass for an answer to its next term', () => {
    // Seen as: replica 3 led term 3, then term 4; a late heartbeat of term 3 was answered in term 4 with the old round,
    // and would have confirmed reads of rounds that replica 2 never heard of.
    const [self, old] = [replicaId(2), replicaId(3)];
    const raft = new Raft({
      id: self,
      founding: foundingConfiguration([replicaId(1), self, old].map((id) => ({ id, location: '' }))),
      hardState: { term: term(4), votedFor: old, commit: logIndex(0) },
      log: {
        base: () => ({ index: logIndex(0), term: term(0) }),
        lastIndex: () => logIndex(0),
        configurations: () => [],
        term: () => term(0),
        entries: () => [],
      },
      applied: logIndex(0),
      random: () => 0.5,
      electionTimeoutTicks: 10,
      heartbeatTicks: 1,
    });
    raft.receive({ kind: 'heartbeat', from: old, to: self, term: term(3), commit: logIndex(0), round: 34 });
    const answers = raft.takeEffects().messages;
    expect(answers).toMatchObject([{ kind: 'heartbeatReply', term: 4, round: 0 }]);
  });

  it('SIM-FOUND-2: a write that was answered "nothing changed" changes nothing when an earlier attempt comes late', () => {
    // Seen as: a delete found nothing, its answer came by the second attempt; the first one, late, deleted a newer pair.
    const store = new Store(new NodeSql());
    const key = utf8('k');
    const deletion: Operation = { kind: 'deleteRange', request: { key, rangeEnd: emptyBytes, previous: false } };
    const put: Operation = {
      kind: 'put',
      request: { key, value: utf8('v'), lease: noLease, previous: false, ignoreValue: false, ignoreLease: false },
    };
    const answered = store.apply(logIndex(1), [commandOf('deletion', deletion)]).outcomes;
    expect(answered).toMatchObject([{ kind: 'deleteRange', revision: 1, answer: { deleted: 0 } }]);
    store.apply(logIndex(2), [commandOf('put', put)]);
    const late = store.apply(logIndex(3), [commandOf('deletion', deletion)]);
    expect(late.outcomes).toEqual(answered);
    expect(late.events).toEqual([]);
    expect(store.revision).toBe(2);
  });

  it('SIM-FOUND-3: a write that was refused for want of permission is never done, also when its caller may do it by now', () => {
    // Seen as: a user's put was answered "permission denied"; the administrator granted the role; an earlier attempt, late, put it.
    const store = new Store(new NodeSql());
    const administration: readonly Operation[] = [
      {
        kind: 'createAccessKey',
        accessKey: { id: 'me', role: 'write', prefix: emptyBytes, expiresAtMs: null, createdAtMs: 0 },
      },
      { kind: 'userAdd', name: 'root', passwordHash: null },
      { kind: 'userGrantRole', name: 'root', role: 'root' },
      { kind: 'userAdd', name: 'alice', passwordHash: null },
      { kind: 'roleAdd', name: 'writers' },
      {
        kind: 'roleGrantPermission',
        role: 'writers',
        permission: { key: utf8('k'), rangeEnd: emptyBytes, type: permissionType.readWrite },
      },
      { kind: 'authEnable' },
    ];
    store.apply(
      logIndex(1),
      administration.map((operation, place) => commandOf(`a${place}`, operation)),
    );
    const put: Operation = {
      kind: 'put',
      request: {
        key: utf8('k'),
        value: utf8('v'),
        lease: noLease,
        previous: false,
        ignoreValue: false,
        ignoreLease: false,
      },
    };
    const alice: Caller = { kind: 'user', id: 'me', name: 'alice', authRevision: 100 };
    const attempt: Command = { writeId: 'w', caller: alice, atMs: 1, operation: put };
    const answered = store.apply(logIndex(2), [attempt]).outcomes;
    expect(answered).toMatchObject([{ kind: 'failed', failure: { kind: 'permissionDenied' } }]);
    store.apply(logIndex(3), [commandOf('grant', { kind: 'userGrantRole', name: 'alice', role: 'writers' })]);
    expect(store.apply(logIndex(4), [attempt]).outcomes).toEqual(answered);
    expect(store.revision).toBe(1);
    expect(store.apply(logIndex(5), [{ ...attempt, writeId: 'w2' }]).outcomes).toMatchObject([{ kind: 'put' }]);
  });
});

function commandOf(writeId: string, operation: Operation): Command {
  return { writeId, caller: { kind: 'service' }, atMs: 1, operation };
}

// Two stores that apply the same log, restarted and swept at different times, hold the same and answer the same.

import { describe, expect, it } from 'vitest';
import { logIndex } from '../../src/brands.ts';
import type { Caller, Command, Operation } from '../../src/model.ts';
import type { SqlPort, SqlRow } from '../../src/sql-port.ts';
import { NodeSql } from '../support/node-sql.ts';
import { RandomOperations } from './random-operations.ts';
import { Fed, service } from './requests.ts';

/** All rows that an answer may depend on. Which superfluous ones are swept, and the ids of large values, may differ. */
function dump(sql: SqlPort, compacted: number): Record<string, SqlRow[]> {
  const value = 'CASE WHEN large IS NULL THEN value ELSE (SELECT bytes FROM large_values WHERE id = large) END';
  return {
    head: sql.all(`SELECT key, mod, created, version, lease, ${value} FROM head ORDER BY key`),
    superseded: sql.all(
      `SELECT key, mod, until, created, version, lease, ${value} FROM superseded WHERE until > ?1 OR mod >= ?1 ORDER BY key, mod`,
      compacted,
    ),
    batches: sql.all('SELECT * FROM batches ORDER BY last_revision, log_index, part'),
    accessKeys: sql.all('SELECT * FROM access_keys ORDER BY id'),
    leases: sql.all('SELECT * FROM leases ORDER BY id'),
    leaseKeys: sql.all('SELECT * FROM lease_keys ORDER BY lease, key'),
    users: sql.all('SELECT * FROM auth_users ORDER BY name'),
    roles: sql.all('SELECT * FROM auth_roles ORDER BY name'),
    grants: sql.all('SELECT * FROM auth_grants ORDER BY user, role'),
    permissions: sql.all('SELECT * FROM auth_permissions ORDER BY role, key, place'),
    alarms: sql.all('SELECT * FROM alarms ORDER BY member, alarm'),
    meta: sql.all("SELECT * FROM mvcc_meta WHERE name <> 'sweep' ORDER BY name"),
  };
}

function accessOperation(random: RandomOperations): Operation {
  const id = `k${random.below(6)}`;
  if (random.chance(0.4)) return { kind: 'revokeAccessKey', id };
  const role = random.pick(['admin', 'write', 'read'] as const);
  const expiresAtMs = random.chance(0.3) ? random.below(300) : null;
  return {
    kind: 'createAccessKey',
    accessKey: { id, role, prefix: new Uint8Array(0), expiresAtMs, createdAtMs: random.below(300) },
  };
}

/** Auth is mostly on, and users may mostly do something. */
function authOperation(random: RandomOperations): Operation {
  const name = random.pick(['root', 'u', 'v']);
  const role = random.pick(['root', 'r', 's']);
  const range = random.range();
  const operations: readonly Operation[] = [
    { kind: 'userAdd', name, passwordHash: random.chance(0.2) ? null : 'hash' },
    { kind: 'userGrantRole', name, role },
    { kind: 'userGrantRole', name: 'root', role: 'root' },
    { kind: 'roleAdd', name: role },
    { kind: 'roleGrantPermission', role, permission: { ...range, type: random.below(4) } },
    { kind: 'roleGrantPermission', role, permission: { ...range, type: 2 } },
    { kind: 'authEnable' },
    random.pick<Operation>([
      { kind: 'authDisable' },
      { kind: 'userDelete', name },
      { kind: 'userChangePassword', name, passwordHash: 'other' },
      { kind: 'userRevokeRole', name, role },
      { kind: 'roleDelete', name: role },
      { kind: 'roleRevokePermission', role, range },
      { kind: 'downgradeEnable', targetVersion: '3.6' },
      { kind: 'downgradeCancel' },
      {
        kind: 'leaseCheckpoint',
        deadlines: [{ id: random.lease(), deadlineMs: random.below(1_000) }],
        settled: random.chance(0.5),
      },
    ]),
  ];
  return random.pick(operations);
}

function someCaller(random: RandomOperations, authRevision: number): Caller {
  const id = `k${random.below(6)}`;
  const kind = random.below(8);
  if (kind < 4) return service;
  if (kind < 5) return { kind: 'accessKey', id };
  if (kind < 6) return { kind: 'anonymous', id, token: random.pick(['none', 'invalid']) };
  const name = random.pick(['root', 'u', 'v']);
  return { kind: 'user', id: 'steady', name, authRevision: authRevision - (random.chance(0.3) ? random.below(4) : 0) };
}

describe('MVCC-REPLICA-1: stores that apply the same log are equal, whenever they restarted and swept', () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    it(`seed ${seed}`, () => {
      const random = new RandomOperations(seed);
      const replicas = [new Fed(new NodeSql()), new Fed(new NodeSql())] as const;
      const sent: Command[] = [];
      let doneByUsers = 0;
      const steady = {
        id: 'steady',
        role: 'admin',
        prefix: new Uint8Array(0),
        expiresAtMs: null,
        createdAtMs: 0,
      } as const;
      for (const replica of replicas) replica.do({ kind: 'createAccessKey', accessKey: steady });
      for (let round = 2; round <= 200; round++) {
        random.revision = replicas[0].store.revision;
        const commands = Array.from({ length: 1 + random.below(4) }, (): Command => {
          const again = sent[sent.length - 1 - random.below(20)];
          if (again !== undefined && random.chance(0.2)) return again;
          const { authRevision } = replicas[0].ask<'authStatus'>({ kind: 'authStatus' });
          const caller = someCaller(random, authRevision);
          const kind = random.below(10);
          const operation =
            kind === 0 ? accessOperation(random) : kind < 4 ? authOperation(random) : random.operation();
          return { writeId: `${round}-${random.below(1_000_000)}`, caller, atMs: round, operation };
        });
        sent.push(...commands);
        const [one, other] = replicas.map((replica) => replica.store.apply(logIndex(round), commands));
        expect(other).toEqual(one);
        for (const [place, outcome] of one?.outcomes.entries() ?? []) {
          if (commands[place]?.caller.kind === 'user' && outcome.kind !== 'failed') doneByUsers++;
        }
        for (const replica of replicas) {
          if (random.chance(0.15)) replica.reopen();
          if (random.chance(0.3)) replica.store.compactStep(1 + random.below(10));
          // An entry that changed nothing is applied again after a restart, as the log does.
          const { appliedIndex } = replica.store;
          if (appliedIndex < round) replica.store.skip(logIndex(round));
        }
      }
      const [one, other] = replicas.map((replica) => dump(replica.sql, replica.store.compactedRevision));
      expect(other).toEqual(one);
      const [hash, otherHash] = replicas.map((replica) => replica.ask<'hash'>({ kind: 'hash' }).hash);
      expect(otherHash).toBe(hash);
      expect(doneByUsers).toBeGreaterThan(5);
      const at = Math.max(1, replicas[0].store.compactedRevision);
      for (let revision = at; revision <= replicas[0].store.revision; revision++) {
        const [kv, otherKv] = replicas.map((replica) => replica.ask<'hashKv'>({ kind: 'hashKv', revision }));
        expect(otherKv).toEqual(kv);
      }
      expect(replicas[1].store.accessKeys()).toEqual(replicas[0].store.accessKeys());
    });
  }
});

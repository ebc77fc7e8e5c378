// Random commands of every kind, by every kind of caller, some of them repeated; and all that a store holds, to compare
// two stores.

import type { Caller, Command, Operation } from '../../src/model/store.ts';
import { columnsOf } from '../../src/mvcc/snapshot/generic-rows.ts';
import type { SqlPort, SqlRow } from '../../src/base/sql-port.ts';
import type { RandomOperations } from './random-operations.ts';
import { type Fed, service } from './requests.ts';

/**
 * All rows that an answer may depend on. The superfluous rows that are swept already, and the ids of large values, may
 * differ.
 */
export function dump(sql: SqlPort, compacted: number): Record<string, SqlRow[]> {
  const value = 'CASE WHEN large IS NULL THEN value ELSE (SELECT bytes FROM large_values WHERE id = large) END';
  return {
    head: sql.all(`SELECT key, mod, created, version, lease, ${value} FROM head ORDER BY key`),
    superseded: sql.all(
      `SELECT key, mod, until, created, version, lease, ${value} FROM superseded WHERE until > ?1 OR mod >= ?1 ORDER BY key, mod`,
      compacted,
    ),
    batches: sql.all(
      `SELECT ${columnsOf(sql, 'batches').join(', ')} FROM batches ORDER BY last_revision, log_index, part`,
    ),
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
    accessKey: { id, role, prefix: new Uint8Array(0), expiresAtMs, createdAtMs: random.below(300), name: '' },
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
  const revisionsAgo = random.chance(0.3) ? random.below(4) : 0;
  return { kind: 'user', id: 'steady', name, authRevision: Math.max(0, authRevision - revisionsAgo) };
}

/** The access key that random callers come with. */
export const steadyKey: Operation = {
  kind: 'createAccessKey',
  accessKey: { id: 'steady', role: 'admin', prefix: new Uint8Array(0), expiresAtMs: null, createdAtMs: 0, name: '' },
};

/**
 * The commands of one entry. `sent`: the commands of earlier entries, to which these are added. `fed`: a store that has
 * applied the earlier entries.
 */
export function randomCommands(random: RandomOperations, sent: Command[], fed: Fed, round: number): Command[] {
  random.revision = fed.store.revision;
  const commands = Array.from({ length: 1 + random.below(4) }, (): Command => {
    const again = sent[sent.length - 1 - random.below(20)];
    if (again !== undefined && random.chance(0.2)) return again;
    const { authRevision } = fed.ask<'authStatus'>({ kind: 'authStatus' });
    const caller = someCaller(random, authRevision);
    const kind = random.below(10);
    const operation = kind === 0 ? accessOperation(random) : kind < 4 ? authOperation(random) : random.operation();
    return { writeId: `${round}-${random.below(1_000_000)}`, caller, atMs: round, operation };
  });
  sent.push(...commands);
  return commands;
}

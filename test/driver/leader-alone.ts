// A driver that leads a group of one, for tests of the outcomes of writes.

import { expect } from 'vitest';
import { replicaId } from '../../src/model/brands.ts';
import { utf8 } from '../../src/base/bytes.ts';
import type { Caller, Operation } from '../../src/model/store.ts';
import { foundingConfiguration } from '../../src/raft/configuration.ts';
import { Driver } from '../../src/driver/driver.ts';
import type { PeerMessage } from '../../src/driver/envelope.ts';
import type { WriteResult } from '../../src/driver/proposals.ts';
import type { SqlPort } from '../../src/base/sql-port.ts';
import { NodeSql } from '../support/node-sql.ts';

export const nowMs = 1_000;

type Options = {
  readonly id: number;
  /** The level of the group, from 1 to this one. */
  readonly members: number;
  readonly sql?: SqlPort;
  readonly send?: (messages: readonly PeerMessage[]) => void;
};

export function driverOf({ id, members, sql = new NodeSql(), send = () => undefined }: Options): Driver {
  const founders = Array.from({ length: members }, (_, place) => ({ id: replicaId(place + 1), location: '' }));
  const driver = new Driver({
    id: replicaId(id),
    founding: foundingConfiguration(founders),
    sql,
    random: () => 0.5,
    electionTimeoutTicks: 10,
    heartbeatTicks: 1,
    port: {
      send,
      configured: () => undefined,
      removed: () => undefined,
      restart: () => undefined,
      undone: ({ error }) => {
        throw new Error('a command of a client threw', { cause: error });
      },
      applySoon: () => undefined,
      flushSoon: () => undefined,
      rest: () => undefined,
      nowMs: () => nowMs,
    },
  });
  driver.listen({ mayRest: () => false });
  return driver;
}

/** A group of one replica. It has three access keys for the prefix "a"; the key `revoked` has been revoked. */
export function leaderAlone(sql: SqlPort = new NodeSql()): Driver {
  const driver = driverOf({ id: 1, members: 1, sql });
  for (let tick = 0; tick < 30; tick++) driver.tick();
  expect(driver.raft.role).toBe('leader');
  for (const id of ['reader', 'writer', 'revoked']) {
    const role = id === 'reader' ? 'read' : 'write';
    const accessKey = { id, role, prefix: utf8('a'), createdAtMs: 0, expiresAtMs: null, name: '' } as const;
    write(driver, { kind: 'service' }, `make ${id}`, { kind: 'createAccessKey', accessKey });
  }
  write(driver, { kind: 'service' }, 'revoke', { kind: 'revokeAccessKey', id: 'revoked' });
  return driver;
}

/** The outcome of the write, which a group of one knows at once. */
export function write(
  driver: Driver,
  caller: Caller,
  writeId: string,
  operation: Operation,
  named: { readonly digest?: bigint } = {},
): WriteResult {
  const results: WriteResult[] = [];
  driver.write({ caller, writeId, operation, ...named }, (result) => results.push(result));
  driver.tick();
  const [result] = results;
  if (result === undefined) throw new Error(`nothing came of ${operation.kind}`);
  return result;
}

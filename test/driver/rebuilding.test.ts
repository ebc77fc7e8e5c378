// A replica whose store was found to be wrong: what it takes and keeps, and how its store is replaced.

import { expect, it } from 'vitest';
import { type LogIndex, logIndex, replicaId, term } from '../../src/model/brands.ts';
import type { Command } from '../../src/model/store.ts';
import { encodeCommands } from '../../src/mvcc/codec/command-codec.ts';
import { openSnapshot } from '../../src/mvcc/snapshot/snapshot-source.ts';
import { encodeConfiguration, foundingConfiguration } from '../../src/raft/configuration.ts';
import type { Entry } from '../../src/raft/types.ts';
import { Driver } from '../../src/driver/driver.ts';
import type { PeerMessage } from '../../src/driver/envelope.ts';
import { LogTable } from '../../src/driver/log-table.ts';
import { usualBounds } from '../../src/driver/log-truncation.ts';
import type { PeerReport } from '../../src/driver/peer-report.ts';
import { Fed, put, service } from '../mvcc/requests.ts';
import { pagesOf } from '../mvcc/snapshot/snapshot-transfer.ts';
import { NodeSql } from '../support/node-sql.ts';
import { quietPort } from '../support/quiet-port.ts';

const [leader, own, other] = [replicaId(1), replicaId(2), replicaId(3)];
const founding = foundingConfiguration([leader, own, other].map((id) => ({ id, location: '' })));
const serving: PeerReport = { supports: 2, state: 'serving', hash: null, divergedAt: logIndex(0) };
const first = term(1);

/** The log of the group. Each entry is a put. */
function commandAt(index: number): Command {
  const operation = index === 1 ? ({ kind: 'groupLevel', level: 2 } as const) : put('k', String(index));
  return { writeId: String(index), caller: service, operation, atMs: 1 };
}

function entryAt(index: number): Entry {
  return { index: logIndex(index), term: first, kind: 'command', data: encodeCommands([commandAt(index)]) };
}

/** A store that applied the log up to this index. */
function appliedTo(last: number): Fed {
  const fed = new Fed(new NodeSql());
  for (let index = 1; index <= last; index++) fed.store.apply(logIndex(index), [commandAt(index)]);
  return fed;
}

class Rebuilding {
  readonly sql: NodeSql;
  readonly sent: PeerMessage[] = [];
  restarts: string[] = [];
  driver: Driver;
  readonly #logHeldBytesMax: number;

  /** The replica has applied the log up to this index, and its store is known to be wrong. */
  constructor(applied: number, logHeldBytesMax: number) {
    this.#logHeldBytesMax = logHeldBytesMax;
    const { sql } = appliedTo(applied);
    if (!(sql instanceof NodeSql)) throw new TypeError('it is on Node');
    this.sql = sql;
    const log = new LogTable(sql);
    log.write(Array.from({ length: applied }, (_, place) => entryAt(place + 1)));
    log.writeHardState({ term: first, votedFor: null, commit: logIndex(applied) });
    sql.run(`CREATE TABLE divergence
      (one INTEGER PRIMARY KEY, format INTEGER NOT NULL, at_index INTEGER NOT NULL, rebuilding INTEGER NOT NULL)`);
    sql.run('INSERT INTO divergence VALUES (1, 1, 2, 1)');
    this.driver = this.open();
  }

  open(): Driver {
    return new Driver({
      id: own,
      founding,
      sql: this.sql,
      bounds: { ...usualBounds, logHeldBytesMax: () => this.#logHeldBytesMax },
      random: () => 0.5,
      electionTimeoutTicks: 10,
      heartbeatTicks: 1,
      port: {
        ...quietPort,
        send: (messages) => void this.sent.push(...messages),
        restart: (reason) => void this.restarts.push(reason),
      },
    });
  }

  /** The leader sends the entry at this index. */
  append(index: number): void {
    const sides = { from: leader, to: own, term: first } as const;
    const previous = logIndex(index - 1);
    this.driver.receive(
      [
        {
          ...sides,
          kind: 'append',
          previousIndex: previous,
          previousTerm: first,
          entries: [entryAt(index)],
          commit: previous,
          round: 1,
        },
      ],
      serving,
    );
  }

  get lastIndex(): LogIndex {
    return this.driver.raft.lastIndex;
  }

  /**
   * Sends the whole snapshot of a store that applied the log up to this index, part by part, for as long as the parts
   * are taken.
   */
  takeSnapshot(last: number): void {
    const source = appliedTo(last);
    const { name, head } = openSnapshot(source.sql, source.store);
    const configuration = encodeConfiguration(founding);
    const sides = { kind: 'snapshotPart', from: leader, to: own, name, term: first, configuration } as const;
    for (const [part, bytes] of head.entries()) {
      const isLast = part + 1 === head.length;
      const next = isLast ? ({ kind: 'rows', after: null } as const) : ({ kind: 'head', part: part + 1 } as const);
      this.driver.receive([{ ...sides, point: { kind: 'head', part }, bytes, next }], serving);
    }
    let after: Uint8Array | null = null;
    for (const { page, next } of pagesOf(source.sql, name, 1_000_000)) {
      const point = { kind: 'rows', after } as const;
      const nextPlace = next === null ? null : ({ kind: 'rows', after: next } as const);
      this.driver.receive([{ ...sides, point, bytes: page, next: nextPlace }], serving);
      after = next;
    }
  }
}

it('SIM-FOUND-6: a wrong store is not replaced by a snapshot that is older than what it had applied', () => {
  // This was seen in a run: a replica had told its watchers of revision 17, was found to be wrong, and started again at
  // revision 16.
  const replica = new Rebuilding(5, 1_000);
  replica.append(6);
  replica.driver.tick();
  expect(replica.sent.map(({ kind }) => kind)).toContain('snapshotAsk');
  replica.takeSnapshot(4);
  expect(replica.restarts).toEqual([]);
  replica.driver.tick();
  replica.takeSnapshot(5);
  expect(replica.restarts).toEqual(['a snapshot has taken the place of the store']);
  replica.driver = replica.open();
  expect([replica.driver.serves, replica.driver.store.appliedIndex, replica.lastIndex]).toEqual([true, 5, 6]);
});

it('REBUILD-9: while a store is made anew its log takes entries up to a bound, keeps them, and takes no more', () => {
  const { bytes } = new Rebuilding(6, 0).driver.logSize;
  const bounded = new Rebuilding(5, bytes);
  for (const index of [6, 7, 8]) bounded.append(index);
  // The seventh entry comes while the log has as much as it may have, and no more.
  expect(bounded.lastIndex).toBe(7);
  expect(bounded.driver.logSize.entries).toBe(7);
  for (let tick = 0; tick < 5; tick++) bounded.driver.tick();
  expect(bounded.driver.logSize.entries).toBe(7);
  const promised = bounded.sent.filter(
    (message) => message.kind === 'appendReply' && message.accepted && message.matchIndex === 7,
  );
  expect(promised).toHaveLength(1);
  bounded.takeSnapshot(9);
  expect(bounded.restarts).toEqual(['a snapshot has taken the place of the store']);
  bounded.driver = bounded.open();
  expect([bounded.lastIndex, bounded.driver.logSize.entries]).toEqual([9, 0]);
  bounded.append(10);
  expect(bounded.lastIndex).toBe(10);
});

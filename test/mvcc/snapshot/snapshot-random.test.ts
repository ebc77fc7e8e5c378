// Snapshots of stores with random histories. The stores go on meanwhile, and the receivers lose their memory at every
// page.

import { describe, expect, it } from 'vitest';
import { logIndex } from '../../../src/model/brands.ts';
import { groupLevel, groupLevelMax } from '../../../src/model/levels.ts';
import type { Command, Outcome } from '../../../src/model/store.ts';
import { neededBy, openSnapshot, type SnapshotName, snapshotPage } from '../../../src/mvcc/snapshot/snapshot-source.ts';
import { SnapshotSink } from '../../../src/mvcc/snapshot/snapshot-sink.ts';
import { NodeSql } from '../../support/node-sql.ts';
import { randomCommands, steadyKey } from '../random-commands.ts';
import { RandomOperations } from '../random-operations.ts';
import { Fed, service } from '../requests.ts';
import { copied, expectSame, openedAt } from './snapshot-transfer.ts';

/** More are explored with `SEEDS=1000 vitest run test/mvcc/snapshot/snapshot-random.test.ts`. */
const seeds = Number(process.env['SEEDS'] ?? 12);

type LoggedEntry = { readonly commands: readonly Command[]; readonly outcomes: readonly Outcome[] };

/** Two replicas of a log, and a third that stops where the snapshot is taken and never sweeps. */
class Group {
  readonly random: RandomOperations;
  readonly senders = [new Fed(new NodeSql()), new Fed(new NodeSql())] as const;
  readonly reference = new Fed(new NodeSql());
  /** Entry n stands at position n - 1. */
  readonly log: LoggedEntry[] = [];
  readonly #sent: Command[] = [];
  #isTaken = false;
  /** To which the group rises: at the newest one, entries share rows, which grow while a snapshot is taken. */
  readonly #level: number;

  constructor(seed: number) {
    this.random = new RandomOperations(seed);
    this.#level = seed % 2 === 0 ? groupLevelMax : groupLevel.second;
    this.#apply([{ writeId: 'steady', caller: service, atMs: 1, operation: steadyKey }]);
    if (this.random.chance(0.6)) this.#raiseLevel();
  }

  /** A group that is at the first level may rise at any time. */
  entry(): void {
    if (this.senders[0].store.level === groupLevel.first && this.random.chance(0.01)) this.#raiseLevel();
    this.#apply(randomCommands(this.random, this.#sent, this.senders[0], this.log.length + 1));
  }

  /** The reference stays behind. */
  open(): ReturnType<typeof openSnapshot> {
    this.#isTaken = true;
    const [sender] = this.senders;
    return openSnapshot(sender.sql, sender.store);
  }

  #raiseLevel(): void {
    const operation = { kind: 'groupLevel', level: this.#level } as const;
    this.#apply([{ writeId: 'level', caller: service, atMs: 1, operation }]);
  }

  #apply(commands: readonly Command[]): void {
    const index = logIndex(this.log.length + 1);
    const replicas = this.#isTaken ? this.senders : [...this.senders, this.reference];
    const [outcomes] = replicas.map((replica) => replica.store.apply(index, commands).outcomes);
    this.log.push({ commands, outcomes: outcomes ?? [] });
    for (const sender of this.senders) if (this.random.chance(0.1)) sender.reopen();
  }
}

/** The receiver has the log of its group, and may have a store that lags or is wrong. */
function receiver(random: RandomOperations): NodeSql {
  const sql = new NodeSql();
  sql.run('CREATE TABLE log (log_index INTEGER PRIMARY KEY, data BLOB NOT NULL)');
  sql.run('INSERT INTO log VALUES (7, ?)', new Uint8Array(3));
  if (random.chance(0.3)) return sql;
  const old = new Fed(sql);
  for (let round = 1; round < 30; round++) old.batch([random.operation(), random.operation()]);
  return sql;
}

function transfer(group: Group, sql: NodeSql): SnapshotName {
  const { random, senders } = group;
  const { name, head } = group.open();
  new SnapshotSink(sql).begin(name, head);
  const needed = neededBy(senders[0].sql, name);
  if (needed === null) throw new Error('the snapshot is gone');
  expect(neededBy(senders[1].sql, name)).toEqual(needed);
  const bytesMax = random.pick([1, 150, 1_000, 6_000]);
  for (;;) {
    const sink = new SnapshotSink(sql);
    const { progress } = sink;
    if (progress === null) throw new Error('a snapshot is under way');
    expect(progress.name).toEqual(name);
    if (progress.isComplete && random.chance(0.5)) break;
    // This holds at the end as well: a receiver that forgot that a page was the last asks once more.
    const { page, next } = snapshotPage(random.pick(senders).sql, name, progress.cursor, bytesMax);
    sink.write(page, next);
    for (let entries = random.below(3); entries > 0; entries--) group.entry();
    // Sweeps leave the rows that the snapshot needs, whatever was compacted since.
    const swept = random.pick(senders);
    const release = swept.store.holdHistory(needed);
    swept.store.compactStep(1 + random.below(10));
    release();
  }
  sql.transaction(() => new SnapshotSink(sql).finish());
  return name;
}

describe('MVCC-SNAP-1: a store made from a snapshot is its source as of the snapshot’s index, and goes on as that did', () => {
  for (let seed = 1; seed <= seeds; seed++) {
    it(`seed ${seed}`, () => {
      const group = new Group(seed);
      const { random } = group;
      for (let round = random.below(150); round > 0; round--) {
        group.entry();
        for (const sender of group.senders) if (random.chance(0.3)) sender.store.compactStep(1 + random.below(10));
      }
      const sql = receiver(random);
      const name = transfer(group, sql);
      const copy = openedAt(sql, name);
      expectSame(copy, group.reference);
      expect(sql.all('SELECT * FROM log')).toEqual([[7, new Uint8Array(3)]]);
      for (const [place, { commands, outcomes }] of group.log.entries()) {
        if (place + 1 <= name.index) continue;
        expect(copy.store.apply(logIndex(place + 1), commands).outcomes).toEqual(outcomes);
        if (random.chance(0.3)) copy.store.compactStep(1 + random.below(10));
        if (random.chance(0.1)) copy.reopen();
      }
      const [source] = group.senders;
      expectSame(copy, source);
      for (const fed of [copy, source]) fed.sweep(7);
      expectSame(copy, source);
      // A store that was made from a snapshot can itself be copied.
      expectSame(copied(copy, new NodeSql()), source);
    });
  }
});

// What a replica keeps in memory over its log, when it flushes that, and what an instance that starts anew shows.

import { expect, it } from 'vitest';
import { flushAfterQuietTicks, restAfterQuietTicks } from '../../src/limits.ts';
import { groupLevel, groupLevelMax } from '../../src/model/levels.ts';
import { logIndex, replicaId } from '../../src/model/brands.ts';
import { DivergenceRecord } from '../../src/driver/divergence-record.ts';
import type { Operation, Outcome } from '../../src/model/store.ts';
import { foundingConfiguration } from '../../src/raft/configuration.ts';
import { Driver } from '../../src/driver/driver.ts';
import { usualBounds } from '../../src/driver/log-truncation.ts';
import type { SqlPort, SqlValue } from '../../src/base/sql-port.ts';
import type { PeerMessage } from '../../src/driver/envelope.ts';
import { PassingSql } from '../support/passing-sql.ts';
import { dump } from '../mvcc/random-commands.ts';
import { grant, keyRange, prefix, put, putLeased, range, remove, service, txn, versionIs } from '../mvcc/requests.ts';
import { NodeSql } from '../support/node-sql.ts';
import { quietPort } from '../support/quiet-port.ts';

const own = replicaId(1);

/** A database that counts the rows that statements outside of the log write. */
class CountingSql extends PassingSql {
  written = 0;

  override run(statement: string, ...bindings: readonly SqlValue[]): void {
    if (!/^\s*(INSERT INTO log|INSERT INTO log_places|UPDATE log_places|UPDATE hard_state)\b/.test(statement))
      this.written++;
    super.run(statement, ...bindings);
  }
}

type Options = { readonly supports?: number; readonly versionsMax?: number };

/** A group of one on a disk that outlives its instances. */
class Alone {
  readonly sql: CountingSql;
  readonly driver: Driver;
  flushesAsked = 0;
  rests = 0;
  readonly sent: PeerMessage[] = [];
  room = Infinity;
  /** What the host lets the replica keep, and what it was last told of. */
  keeps = Infinity;
  kept = 0;
  #writes = 0;

  constructor(disk: NodeSql, { supports = groupLevelMax, versionsMax = 100 }: Options = {}) {
    this.sql = new CountingSql(disk);
    this.driver = new Driver({
      id: own,
      founding: foundingConfiguration([{ id: own, location: '' }]),
      supports,
      bounds: { ...usualBounds, carefulEntries: 0, unflushedVersionsMax: versionsMax },
      sql: this.sql,
      random: () => 0.5,
      electionTimeoutTicks: 10,
      heartbeatTicks: 1,
      port: {
        ...quietPort,
        send: (messages) => void this.sent.push(...messages),
        flushSoon: () => void this.flushesAsked++,
        mayHold: (bytes) => bytes <= this.room,
        mayKeep: (bytes) => {
          if (bytes > this.keeps) return false;
          this.kept = bytes;
          return true;
        },
        rest: () => void this.rests++,
      },
    });
  }

  /** It leads, and the group is at the level that it supports. */
  led(): this {
    this.driver.campaign();
    this.driver.tick();
    this.driver.flush();
    return this;
  }

  write(operation: Operation, writeId = `${this.driver.raft.term}.${this.#writes++}`): Outcome {
    const outcomes: Outcome[] = [];
    this.driver.write({ writeId, caller: service, operation }, (result) => {
      if (result.kind === 'applied') outcomes.push(result.outcome);
    });
    const [outcome] = outcomes;
    if (outcome === undefined) throw new Error(`nothing came of ${operation.kind}`);
    return outcome;
  }

  /** How many statements beside those of the log a write takes. */
  writtenBy(operation: Operation): number {
    const before = this.sql.written;
    this.write(operation);
    return this.sql.written - before;
  }

  get value(): string | undefined {
    const result = this.driver.store.range(range('k'));
    const pair = result.kind === 'answer' ? result.answer.kvs.at(0) : undefined;
    return pair === undefined ? undefined : Buffer.from(pair.value).toString();
  }
}

const points: readonly Operation[] = [
  put('k', 'v'),
  put('large', new Uint8Array(2_000)),
  remove('k'),
  remove('none'),
  txn({ compare: [versionIs('large', 1)], success: [put('k', 'w'), remove('large')] }),
];

it('GROUP-FLUSH-1: a point operation writes the log’s row alone, and what is not one is written through after it', () => {
  const alone = new Alone(new NodeSql()).led();
  expect(points.map((operation) => alone.writtenBy(operation))).toEqual([0, 0, 0, 0, 0]);
  expect(alone.driver.store.hasUnflushed).toBe(true);
  for (const barrier of [
    grant(7),
    remove(prefix('a')),
    txn({ compare: [versionIs(prefix('x'), 0)], success: [put('x')] }),
  ]) {
    alone.write(put('k'));
    expect(alone.writtenBy(barrier)).toBeGreaterThan(1);
    expect([alone.driver.store.hasUnflushed, alone.driver.store.persistedIndex]).toEqual([
      false,
      alone.driver.store.appliedIndex,
    ]);
  }
  expect(alone.writtenBy(putLeased('leased', 7))).toBe(0);
});

it('GROUP-FLUSH-1: in a group below level 5 every entry is written through', () => {
  const alone = new Alone(new NodeSql(), { supports: groupLevel.fourth }).led();
  for (const operation of points) expect(alone.writtenBy(operation)).toBeGreaterThan(0);
  expect(alone.driver.store.hasUnflushed).toBe(false);
});

it('GROUP-FLUSH-2: a replica flushes at its bound, at twice the bound at once, and where memory has no room', () => {
  const alone = new Alone(new NodeSql(), { versionsMax: 10 }).led();
  // The first replica flushes at the whole bound, less its share of the stagger.
  for (let n = 0; n < 8; n++) alone.write(put('k'));
  expect(alone.flushesAsked).toBe(0);
  alone.write(put('k'));
  expect([alone.flushesAsked, alone.driver.store.unflushed.versions]).toEqual([1, 9]);
  for (let n = 9; n < 21; n++) alone.write(put('k'));
  expect(alone.driver.store.unflushed.versions).toBe(21);
  alone.write(put('k'));
  expect(alone.driver.store.unflushed.versions).toBe(1);
  alone.driver.flush();
  expect(alone.driver.store.unflushed).toEqual({ versions: 0, bytes: 0 });
  alone.room = 5_000;
  alone.write(put('k', new Uint8Array(2_000)));
  expect(alone.driver.store.hasUnflushed).toBe(true);
  alone.write(put('k', new Uint8Array(3_000)));
  expect(alone.driver.store.hasUnflushed).toBe(false);
});

it('GROUP-FLUSH-3: a replica flushes soon after the last write, and before it rests', () => {
  const alone = new Alone(new NodeSql()).led();
  alone.write(put('k'));
  for (let tick = 1; tick < flushAfterQuietTicks; tick++) alone.driver.tick();
  expect(alone.driver.store.hasUnflushed).toBe(true);
  alone.driver.tick();
  expect([alone.driver.store.hasUnflushed, alone.rests]).toEqual([false, 0]);
  for (let tick = 0; tick <= restAfterQuietTicks; tick++) alone.driver.tick();
  expect(alone.rests).toBeGreaterThan(0);
});

it('GROUP-FLUSH-11: what is kept of the tables is forgotten where the host has no room, soon after the last write, and at the end', () => {
  const alone = new Alone(new NodeSql()).led();
  const flushed = (): number => {
    alone.write(put('k'));
    alone.driver.flush();
    alone.write(put('other'));
    return alone.kept;
  };
  expect(flushed()).toBeGreaterThan(0);
  expect(alone.kept).toBe(alone.driver.store.keptBytes);
  alone.keeps = 0;
  alone.write(put('third'));
  expect([alone.driver.store.keptBytes, alone.kept]).toEqual([0, 0]);
  alone.keeps = Infinity;
  expect(flushed()).toBeGreaterThan(0);
  for (let tick = 0; tick < flushAfterQuietTicks; tick++) alone.driver.tick();
  expect([alone.driver.store.keptBytes, alone.kept]).toEqual([0, 0]);
  expect(flushed()).toBeGreaterThan(0);
  alone.driver.stop('the end');
  expect(alone.kept).toBe(0);
});

it('GROUP-FLUSH-4: an instance that starts anew applies from its log what had no rows, and remembers its writes', () => {
  const disk = new NodeSql();
  const before = new Alone(disk).led();
  before.write(put('k', 'flushed'));
  before.driver.flush();
  const flushed = before.driver.store.appliedIndex;
  const outcome = before.write(put('k', 'memory'), 'named');
  const after = new Alone(disk);
  expect([after.driver.store.appliedIndex, after.value, after.driver.isSure]).toEqual([flushed, 'flushed', false]);
  after.driver.campaign();
  expect([after.value, after.driver.isSure]).toEqual(['memory', true]);
  expect(after.write(put('k', 'memory'), 'named')).toEqual(outcome);
  after.driver.flush();
});

it('GROUP-FLUSH-5: flushes at any moments leave the rows that writing through leaves', () => {
  const [kept, through] = [new NodeSql(), new NodeSql()];
  const alone = new Alone(kept).led();
  const other = new Alone(through).led();
  for (const [place, operation] of [...points, grant(7), putLeased('a', 7), ...points, remove('a')].entries()) {
    const outcome = alone.write(operation, `w${place}`);
    expect(other.write(operation, `w${place}`)).toEqual(outcome);
    other.driver.flush();
    expect(alone.driver.report.hash).toEqual(other.driver.report.hash);
  }
  alone.driver.flush();
  expect(dump(kept, -1)).toEqual(dump(through, -1));
});

it('GROUP-FLUSH-6: nothing is flushed when an instance stops, and once it has stopped', () => {
  const alone = new Alone(new NodeSql()).led();
  alone.write(put('k'));
  const { written } = alone.sql;
  alone.driver.stop('it ends');
  alone.driver.flush();
  alone.driver.tick();
  expect([alone.sql.written, alone.driver.store.hasUnflushed]).toEqual([written, true]);
});

it('GROUP-FLUSH-7: the log keeps what has no rows yet', () => {
  const alone = new Alone(new NodeSql(), { versionsMax: 1_000_000 }).led();
  alone.driver.flush();
  const first = alone.driver.store.persistedIndex;
  for (let n = 0; n < usualBounds.logEntriesMax + 10; n++) alone.write(put('k', String(n)));
  alone.driver.tick();
  expect(alone.driver.logSize.entries).toBeGreaterThanOrEqual(alone.driver.store.appliedIndex - first);
  alone.driver.flush();
  for (let tick = 0; tick < 3; tick++) alone.driver.tick();
  expect(alone.driver.logSize.entries).toBeLessThan(usualBounds.logEntriesMax);
  expect(alone.driver.store.range(range(keyRange('k'))).kind).toBe('answer');
});

it('GROUP-FLUSH-8: an instance that was replaced answers no write from memory', () => {
  let isReplaced = false;
  class OwnedSql extends PassingSql {
    protected override get sql(): SqlPort {
      if (isReplaced) throw new Error('the instance was replaced');
      return super.sql;
    }
  }
  const ids = [1, 2, 3].map(replicaId);
  const founding = foundingConfiguration(ids.map((id) => ({ id, location: '' })));
  const sent: PeerMessage[] = [];
  const drivers = ids.map(
    (id) =>
      new Driver({
        id,
        founding,
        bounds: { ...usualBounds, carefulEntries: 0 },
        sql: id === own ? new OwnedSql(new NodeSql()) : new NodeSql(),
        random: () => 0.5,
        electionTimeoutTicks: 10,
        heartbeatTicks: 1,
        port: { ...quietPort, send: (messages) => void sent.push(...messages) },
      }),
  );
  const talk = (): void => {
    while (sent.length > 0) {
      for (const message of sent.splice(0)) {
        const from = drivers.find(({ raft }) => raft.id === message.from);
        drivers.find(({ raft }) => raft.id === message.to)?.receive([message], from?.report ?? null);
      }
    }
  };
  const [leader] = drivers;
  if (leader === undefined) throw new Error('there are three');
  leader.campaign();
  talk();
  for (let tick = 0; tick < 3; tick++) {
    leader.tick();
    talk();
  }
  expect(leader.store.level).toBe(groupLevelMax);
  const answers: string[] = [];
  leader.write({ writeId: 'w', caller: service, operation: put('k') }, ({ kind }) => answers.push(kind));
  // The followers have the entry, and the leader hears of it once its storage belongs to another instance.
  isReplaced = true;
  expect(talk).toThrow('the instance was replaced');
  expect(answers).toEqual([]);
});

it('GROUP-FLUSH-9: a snapshot is opened from the rows of all that was applied', () => {
  const alone = new Alone(new NodeSql()).led();
  alone.write(put('k'));
  const point = { kind: 'head', part: 0 } as const;
  const ask = { kind: 'snapshotAsk', from: replicaId(2), to: own, name: null, point } as const;
  const report = { supports: groupLevelMax, state: 'serving', hash: null, divergedAt: logIndex(0) } as const;
  // The first message tells which levels the sender knows.
  for (let sent = 0; sent < 2; sent++) alone.driver.receive([ask], report);
  const part = alone.sent.find((message) => message.kind === 'snapshotPart');
  expect(alone.driver.store.hasUnflushed).toBe(false);
  expect(part).toMatchObject({ name: { index: alone.driver.store.appliedIndex } });
});

it('GROUP-FLUSH-9: after a snapshot a replica is not sure before a read was confirmed, also after another start', () => {
  const disk = new NodeSql();
  new Alone(disk).led();
  new DivergenceRecord(disk).replaced();
  expect(new Alone(disk).driver.isSure).toBe(false);
  const after = new Alone(disk).led();
  after.write(put('k'));
  expect(after.driver.isSure).toBe(false);
  after.driver.read(() => undefined);
  after.driver.flush();
  expect([after.driver.isSure, new Alone(disk).driver.isSure]).toEqual([true, true]);
});

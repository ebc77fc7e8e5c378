// What a turn costs while nothing throws, and what becomes of an instance whose turn threw.

import { PassingSql } from '../support/passing-sql.ts';
import { describe, expect, it } from 'vitest';
import { replicaId } from '../../src/model/brands.ts';
import { carefulEntries } from '../../src/limits.ts';
import type { Operation, Outcome } from '../../src/model/store.ts';
import { foundingConfiguration } from '../../src/raft/configuration.ts';
import { Driver } from '../../src/driver/driver.ts';
import { usualBounds } from '../../src/driver/log-truncation.ts';
import type { NotPromise } from '../../src/base/sql-port.ts';
import { dump } from '../mvcc/random-commands.ts';
import { grant, prefix, put, putLeased, read, remove, service, txn } from '../mvcc/requests.ts';
import { NodeSql } from '../support/node-sql.ts';
import { quietPort } from '../support/quiet-port.ts';
import { thrownAt, ThrowingSql } from '../support/throwing-sql.ts';

const own = replicaId(1);

/** A database that knows how many savepoints were made, and as an object's: what a turn that threw wrote stays. */
class ObjectLike extends PassingSql {
  savepoints = 0;

  override turn<Result>(body: () => NotPromise<Result>): Result {
    return body();
  }

  override transaction<Result>(body: () => NotPromise<Result>): Result {
    this.savepoints++;
    return super.transaction(body);
  }
}

/** A group of one on a disk that outlives its instances. */
class Alone {
  readonly driver: Driver;
  readonly sql: ObjectLike;
  readonly undone: string[] = [];
  #writes = 0;

  constructor(disk: NodeSql, careful: number) {
    this.sql = new ObjectLike(new ThrowingSql(disk));
    this.driver = new Driver({
      id: own,
      founding: foundingConfiguration([{ id: own, location: '' }]),
      bounds: { ...usualBounds, carefulEntries: careful },
      sql: this.sql,
      random: () => 0.5,
      electionTimeoutTicks: 10,
      heartbeatTicks: 1,
      port: { ...quietPort, undone: ({ operation }) => void this.undone.push(operation) },
    });
    this.driver.campaign();
  }

  /** In one log entry. */
  write(...operations: readonly Operation[]): readonly Outcome[] {
    const outcomes: Outcome[] = [];
    const writes = operations.map((operation) => ({
      request: { writeId: `${this.driver.raft.term}.${this.#writes++}`, caller: service, operation },
      settle: (result: { kind: string; outcome?: Outcome }) => {
        if (result.outcome !== undefined) outcomes.push(result.outcome);
      },
    }));
    this.driver.submit(writes, []);
    return outcomes;
  }

  savepointsOf(...operations: readonly Operation[]): number {
    const before = this.sql.savepoints;
    expect(this.write(...operations).map(({ kind }) => kind)).not.toContain('failed');
    return this.sql.savepoints - before;
  }
}

describe('a turn', () => {
  it('GROUP-TURN-1: it makes no savepoint for entries of point operations, and one for each other entry', () => {
    const alone = new Alone(new NodeSql(), 0);
    expect(alone.savepointsOf(put('a'), put('b', new Uint8Array(2_000)), remove('a'), remove('none'))).toBe(0);
    expect(alone.savepointsOf(grant(7))).toBe(1);
    expect(alone.savepointsOf(putLeased('leased', 7), put('leased', '', { ignoreValue: true }))).toBe(0);
    const point = txn({ success: [read('e'), put('c'), remove('d'), txn({ success: [put('e')] })] });
    expect(alone.savepointsOf(put('a'), point)).toBe(0);
    for (const wide of [remove(prefix('c')), read(prefix('c')), txn({ failure: [remove(prefix('c'))] })]) {
      expect(alone.savepointsOf(put('a'), txn({ success: [wide] }))).toBe(1);
    }
    expect(alone.savepointsOf(put('a'), remove(prefix('c')))).toBe(1);
  });
});

describe('an instance that has just started', () => {
  it('GROUP-TURN-2: what its log held, and carefulEntries more, it applies within savepoints, and what follows without', () => {
    expect(carefulEntries).toBe(8 * usualBounds.appendEntriesMax);
    const disk = new NodeSql();
    const alone = new Alone(disk, 3);
    // The entry that opens its term is the first.
    const made = Array.from({ length: 4 }, () => alone.savepointsOf(put('a')));
    expect(made).toEqual([1, 1, 0, 0]);
    const next = new Alone(disk, 3);
    expect(Array.from({ length: 4 }, () => next.savepointsOf(put('a')))).toEqual([1, 1, 0, 0]);
  });
});

describe('an instance whose turn threw', () => {
  it('GROUP-TURN-3: it takes no other input, and answers nobody', () => {
    const alone = new Alone(new NodeSql(), 0);
    const outcomes: Outcome[] = [];
    expect(() => outcomes.push(...alone.write(put('a'), put(thrownAt)))).toThrow('as planted');
    const inputs = [
      () => alone.write(put('b')),
      () => alone.driver.tick(),
      () => alone.driver.campaign(),
      () => alone.driver.goOn(),
      () => alone.driver.read(() => expect.unreachable()),
    ];
    for (const input of inputs) expect(input).toThrow('after one that threw');
    expect(outcomes).toEqual([]);
  });

  it('GROUP-TURN-4: the next one undoes the command that threw, answers as every replica does, and goes on', () => {
    const disk = new NodeSql();
    const before = new Alone(disk, 0);
    before.write(put('a'));
    const rows = JSON.stringify(dump(disk, -1));
    expect(() => disk.transaction(() => before.write(put('b'), put(thrownAt), put('c')))).toThrow('as planted');
    expect(JSON.stringify(dump(disk, -1))).toBe(rows);
    const next = new Alone(disk, 10);
    expect(next.write(put('b'), put(thrownAt), put('c'))).toMatchObject([
      { kind: 'put', revision: 3 },
      { kind: 'failed', failure: { kind: 'commandUndone', operation: 'put' } },
      { kind: 'put', revision: 4 },
    ]);
    expect([next.undone, next.driver.store.commandsUndone]).toEqual([['put'], 1]);
    expect(next.write(put('d'))).toMatchObject([{ kind: 'put', revision: 5 }]);
  });
});

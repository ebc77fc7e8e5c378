// A replica whose log holds what its code cannot apply: commands that throw, and bytes that are no commands.

import { describe, expect, it } from 'vitest';
import { logIndex, replicaId, term } from '../../src/model/brands.ts';
import type { Operation, Outcome } from '../../src/model/store.ts';
import type { UndoneCommand } from '../../src/mvcc/careful-apply.ts';
import { encodeCommands } from '../../src/mvcc/codec/command-codec.ts';
import { foundingConfiguration } from '../../src/raft/configuration.ts';
import { Driver } from '../../src/driver/driver.ts';
import { LogTable } from '../../src/driver/log-table.ts';
import { type SqlPort, StorageFault } from '../../src/base/sql-port.ts';
import { put, read, service, txn } from '../mvcc/requests.ts';
import { NodeSql } from '../support/node-sql.ts';
import { thrownAt, ThrowingSql } from '../support/throwing-sql.ts';

const own = replicaId(1);

/** A group of one. */
class Alone {
  readonly driver: Driver;
  readonly undone: UndoneCommand[] = [];
  readonly #outcomes: Outcome[] = [];
  #writes = 0;

  constructor(sql: SqlPort) {
    this.driver = new Driver({
      id: own,
      founding: foundingConfiguration([{ id: own, location: '' }]),
      sql,
      random: () => 0.5,
      electionTimeoutTicks: 10,
      heartbeatTicks: 1,
      port: {
        send: () => undefined,
        undone: (command) => void this.undone.push(command),
        configured: () => undefined,
        removed: () => undefined,
        rest: () => undefined,
        applySoon: () => this.driver.goOn(),
        flushSoon: () => this.driver.flush(),
        nowMs: () => 1,
        restart: () => undefined,
      },
    });
  }

  /** All commands but the first are in one log entry. */
  write(...operations: readonly Operation[]): readonly Outcome[] {
    this.#outcomes.length = 0;
    const writes = operations.map((operation) => ({
      request: { writeId: `w${this.#writes++}`, caller: service, operation },
      settle: (result: { kind: string; outcome?: Outcome }) => {
        if (result.outcome !== undefined) this.#outcomes.push(result.outcome);
      },
    }));
    this.driver.submit(writes, []);
    return [...this.#outcomes];
  }
}

/**
 * The log as older code left it, which could not undo a command: all entries are committed, and none could be applied.
 */
function withLog(sql: SqlPort, entries: readonly Uint8Array[]): Alone {
  const log = new LogTable(sql);
  log.write(entries.map((data, place) => ({ index: logIndex(place + 1), term: term(1), kind: 'command', data })));
  log.writeHardState({ term: term(1), votedFor: own, commit: logIndex(entries.length) });
  return new Alone(sql);
}

function entryOf(...operations: readonly Operation[]): Uint8Array {
  return encodeCommands(
    operations.map((operation, place) => ({
      writeId: `e${operations.length}.${place}`,
      caller: service,
      operation,
      atMs: 1,
    })),
  );
}

describe('a log entry that cannot be applied', () => {
  it('GROUP-UNDO-1: its command is undone and told of once, its caller answered, and the replica goes on', () => {
    const alone = new Alone(new ThrowingSql(new NodeSql()));
    alone.driver.campaign();
    const outcomes = alone.write(put('a'), put(thrownAt), txn({ success: [put('b'), put(thrownAt)] }), put('c'));
    expect(outcomes.map(({ kind }) => kind)).toEqual(['put', 'failed', 'failed', 'put']);
    expect(alone.undone.map(({ operation }) => operation)).toEqual(['put', 'txn']);
    expect(alone.write(put('d'))).toMatchObject([{ kind: 'put', revision: 4 }]);
    const { raft, store } = alone.driver;
    expect([store.commandsUndone, store.appliedIndex]).toEqual([2, raft.lastIndex]);
    expect(alone.undone.length).toBe(2);
  });

  it('GROUP-UNDO-2: a replica that finds one in its log, committed by code that could not apply it, comes to life', () => {
    const large = put('large', new Uint8Array(1_500_000));
    const tooLarge = txn({ success: Array.from({ length: 25 }, () => read('large')) });
    const alone = withLog(new ThrowingSql(new NodeSql()), [entryOf(large), entryOf(tooLarge, put(thrownAt), put('a'))]);
    alone.driver.campaign();
    expect(alone.write(put('b'))).toMatchObject([{ kind: 'put', revision: 4 }]);
    expect(alone.undone.map(({ index, operation }) => [index, operation])).toEqual([[2, 'put']]);
  });

  it('GROUP-UNDO-5: what storage throws ends the turn and leaves nothing of it; the next instance goes on', () => {
    const sql = new NodeSql();
    const alone = new Alone(sql);
    alone.driver.campaign();
    alone.write(put('a'));
    sql.run('ALTER TABLE superseded RENAME TO away');
    let outcomes: readonly Outcome[] = [];
    expect(() => {
      outcomes = alone.write(put('a'), put('b'));
    }).toThrow(StorageFault);
    sql.run('ALTER TABLE away RENAME TO superseded');
    expect([outcomes, alone.undone]).toEqual([[], []]);
    const next = new Alone(sql);
    next.driver.campaign();
    expect(next.write(put('c')).map(({ kind }) => kind)).toEqual(['put']);
    expect([next.undone, next.driver.store.commandsUndone]).toEqual([[], 0]);
  });

  it('GROUP-UNDO-3: bytes that are no commands halt the replica before them, which says where', () => {
    const { driver } = withLog(new NodeSql(), [entryOf(put('a')), Uint8Array.of(1, 1, 99)]);
    driver.campaign();
    expect(driver.halted).toContain('log entry 2 is malformed');
    expect([driver.serves, driver.store.appliedIndex]).toEqual([false, 1]);
  });
});

// A large delete in the driver takes one step each turn, and nobody sees, or is answered, what is not done yet.

import { expect, it } from 'vitest';
import { replicaId } from '../../src/model/brands.ts';
import { restAfterQuietTicks } from '../../src/limits.ts';
import type { Operation, RevisionEvents } from '../../src/model/store.ts';
import { decodeCommands } from '../../src/mvcc/codec/command-codec.ts';
import { foundingConfiguration } from '../../src/raft/configuration.ts';
import { Driver } from '../../src/driver/driver.ts';
import { usualBounds } from '../../src/driver/log-truncation.ts';
import { everything, put, range, remove, service } from '../mvcc/requests.ts';
import { logRows } from '../sim/platform/durable-log.ts';
import { NodeSql } from '../support/node-sql.ts';
import { quietPort } from '../support/quiet-port.ts';

const keys = 5;
const stepRows = 2;

/** The only replica of a group. */
class Alone {
  readonly told: (readonly RevisionEvents[] | null)[] = [];
  readonly answers: string[] = [];
  readonly driver: Driver;
  readonly sql: NodeSql;
  rests = 0;
  #written: number;

  constructor(sql = new NodeSql(), written = 0) {
    this.sql = sql;
    this.#written = written;
    this.driver = new Driver({
      id: replicaId(1),
      founding: foundingConfiguration([{ id: replicaId(1), location: '' }]),
      sql,
      bounds: { ...usualBounds, deleteStepRows: stepRows },
      random: () => 0.5,
      electionTimeoutTicks: 10,
      heartbeatTicks: 1,
      port: {
        ...quietPort,
        rest: () => void this.rests++,
      },
    });
    this.driver.listen({ published: (events) => void this.told.push(events) });
    this.driver.campaign();
  }

  write(...operations: readonly Operation[]): void {
    const writes = operations.map((operation) => {
      const name = `${operation.kind} ${this.#written}`;
      const request = { writeId: String(this.#written++), caller: service, operation };
      return { request, settle: ({ kind }: { readonly kind: string }) => void this.answers.push(`${name}: ${kind}`) };
    });
    this.driver.submit(writes, []);
  }

  read(): void {
    this.driver.read(({ kind }) => void this.answers.push(`read: ${kind}`));
  }

  get count(): number {
    const result = this.driver.store.range(range(everything));
    return result.kind === 'answer' ? result.answer.count : -1;
  }
}

function filled(): Alone {
  const alone = new Alone();
  alone.write(...Array.from({ length: keys }, (_, key) => put(`k/${key}`)));
  alone.answers.length = 0;
  alone.told.length = 0;
  return alone;
}

it('GROUP-DELETE-1: a large delete takes a turn for each step; before the last nothing of it is seen, answered or told', () => {
  const alone = filled();
  const { appliedIndex, revision } = alone.driver.store;
  alone.write(remove(everything));
  alone.write(put('later'));
  alone.read();
  let turns = 0;
  while (alone.driver.store.appliedIndex === appliedIndex) {
    expect([alone.answers, alone.told, alone.count, alone.driver.store.revision]).toEqual([[], [], keys, revision]);
    alone.driver.goOn();
    if (++turns > 10) throw new Error('it comes to no end');
  }
  expect(alone.driver.store.isUnderWay).toBe(false);
  for (let turn = 0; turn < 3; turn++) alone.driver.goOn();
  expect(alone.answers).toEqual([`deleteRange ${keys}: applied`, 'read: ready', `put ${keys + 1}: applied`].toSorted());
  expect(alone.told).toMatchObject([null, [{ revision: revision + 2 }]]);
  expect(alone.count).toBe(1);
});

it('GROUP-DELETE-2: who waits for it when the replica ends is told that nobody knows; the next instance goes on with it', () => {
  const alone = filled();
  alone.write(remove(everything));
  while (!alone.driver.store.isUnderWay) alone.driver.goOn();
  alone.driver.stop('it ends');
  expect(alone.answers).toEqual([`deleteRange ${keys}: unknown`]);
  const next = new Alone(alone.sql, 100);
  expect([next.driver.store.isUnderWay, next.count]).toEqual([true, keys]);
  next.read();
  for (let turn = 0; turn < 10; turn++) next.driver.goOn();
  expect([next.driver.store.isUnderWay, next.count, next.answers]).toEqual([false, 0, ['read: ready']]);
});

it('GROUP-DELETE-3: what may delete very many keys has a log entry to itself, what deletes few has not', () => {
  const alone = filled();
  alone.write(put('a'), remove({ ...range(everything), key: new Uint8Array([0]) }), put('b'), put('c'));
  for (let turn = 0; turn < 10; turn++) alone.driver.goOn();
  alone.write(put('d'), remove(everything), put('e'));
  const sizes = logRows(alone.sql, 0)
    .filter(({ kind }) => kind === 'command')
    .map(({ data }) => decodeCommands(data).map(({ operation }) => operation.kind));
  expect(sizes.slice(-4)).toEqual([['put'], ['deleteRange'], ['put', 'put'], ['put', 'deleteRange', 'put']]);
});

it('GROUP-DELETE-4: a group does not rest while a delete is under way', () => {
  const alone = filled();
  alone.write(remove(everything));
  while (!alone.driver.store.isUnderWay) alone.driver.goOn();
  // A tick is a turn as well, and so takes a step. The clock runs on until everything is done, and then the group
  // rests.
  for (let tick = 0; tick < 2 * restAfterQuietTicks && alone.rests === 0; tick++) alone.driver.tick();
  expect([alone.rests > 0, alone.driver.store.isUnderWay, alone.count]).toEqual([true, false, 0]);
});

// What a turn leaves on an object's disk where it throws: nothing, because the object is aborted before it gives way.

import { runInDurableObject } from 'cloudflare:test';
import { beforeAll, describe, expect, it } from 'vitest';
import { emptyBytes } from '../../src/base/bytes.ts';
import { replicaId } from '../../src/model/brands.ts';
import { groupLevelMax } from '../../src/model/levels.ts';
import { Driver } from '../../src/driver/driver.ts';
import type { TurnStep } from '../../src/driver/driver-port.ts';
import { LogTable } from '../../src/driver/log-table.ts';
import { usualBounds } from '../../src/driver/log-truncation.ts';
import { Store } from '../../src/mvcc/store.ts';
import { foundingConfiguration } from '../../src/raft/configuration.ts';
import type { Replica } from '../../src/replica/replica.ts';
import { ObjectSql } from '../../src/replica/object-sql.ts';
import { put, range, service } from '../mvcc/requests.ts';
import { quietPort } from '../support/quiet-port.ts';
import { newTenant, prepareDirectory, put as putAt, replicaStub, until, withKey } from '../support/service.ts';

beforeAll(prepareDirectory);

/** All rows of an object, as text. */
function rowsIn({ sql }: DurableObjectStorage): string {
  const tables = sql.exec<{ name: string }>(
    `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'`,
  );
  const rows = [...tables].map(({ name }) => [name, [...sql.exec(`SELECT * FROM ${name}`).raw()]]);
  return JSON.stringify(rows, (_key, value: unknown) =>
    value instanceof ArrayBuffer ? [...new Uint8Array(value)] : value,
  );
}

function valueOnDisk({ sql }: DurableObjectStorage): string {
  const [row] = sql.exec<{ value: ArrayBuffer }>('SELECT value FROM head').toArray();
  return row === undefined ? '' : new TextDecoder().decode(row.value);
}

async function levelOf(key: string): Promise<number> {
  const status: { level: number } = await (await withKey(key, '/v1/status')).json();
  return status.level;
}

const planted = 'as planted';

/** Of those that write the nth statement from now on throws, once, after it has written. */
function throwAt(sql: SqlStorage, nth: number): void {
  const exec = sql.exec.bind(sql);
  let count = 0;
  Reflect.set(sql, 'exec', (statement: string, ...bindings: readonly SqlStorageValue[]) => {
    const cursor = exec(statement, ...bindings);
    if (!/^\s*(insert|update|delete)/i.test(statement)) return cursor;
    const rows = cursor.toArray();
    if (++count === nth) throw new Error(planted);
    return { raw: () => rows.map((row) => Object.values(row)) };
  });
}

type Ended = 'ended' | 'went on';

/** What is on disk before, what became of the turn, and what is on disk when the next instance looks. */
async function around(
  name: readonly [tenant: string, replica: number],
  act: (state: DurableObjectState, instance: Replica) => Promise<void>,
): Promise<{ readonly before: string; readonly ended: Ended; readonly after: string }> {
  const before = await runInDurableObject(replicaStub(...name), (_, state) => rowsIn(state.storage));
  const ended = await runInDurableObject(replicaStub(...name), (instance, state) => act(state, instance)).then(
    (): Ended => 'went on',
    (): Ended => 'ended',
  );
  const after = await runInDurableObject(replicaStub(...name), (_, state) => rowsIn(state.storage));
  return { before, ended, after };
}

const own = replicaId(1);

/** A group of one, which makes no savepoint for a put from the first entry on. */
function driverOf(storage: DurableObjectStorage, before: (step: TurnStep) => void): Driver {
  return new Driver({
    id: own,
    founding: foundingConfiguration([{ id: own, location: '' }]),
    bounds: { ...usualBounds, carefulEntries: 0 },
    sql: new ObjectSql(storage),
    random: () => 0.5,
    electionTimeoutTicks: 10,
    heartbeatTicks: 1,
    port: { ...quietPort, before },
  });
}

function write(driver: Driver, value: string): void {
  driver.write({ writeId: value, caller: service, operation: put('k', value) }, () => undefined);
}

describe('a turn that throws in an object', () => {
  it('GROUP-TURN-5: at whichever statement a replica’s turn throws, the object ends, and nothing of the turn is on disk', async () => {
    const { id, key } = await newTenant({ name: 'throwing', replicas: 1 });
    // The level of a new group rises in a turn of its own.
    await until(async () => (await levelOf(key)) === groupLevelMax);
    await putAt(key, 'k', '0');
    let nth = 1;
    let value = '0';
    for (let ended: Ended = 'ended'; ended === 'ended'; nth++) {
      // The flush of what came before is a turn of its own.
      const isFlushed = (): Promise<boolean> =>
        runInDurableObject(replicaStub(id, 1), (_, { storage }) => valueOnDisk(storage) === value);
      await until(isFlushed);
      const around1 = await around([id, 1], async ({ storage }, instance) => {
        throwAt(storage.sql, nth);
        const doubted = { failedLeader: 0, suspectedLeader: 0 };
        // It is written through, so all of its statements are of one turn.
        const rights = { role: 'read', prefix: emptyBytes, expiresAtMs: null } as const;
        const accessKey = { ...rights, id: `n${nth}`, name: '', createdAtMs: 0 };
        const operation = { kind: 'createAccessKey', accessKey } as const;
        await instance.ask({ kind: 'administer', writeId: `w${nth}`, caller: service, operation, ...doubted });
      });
      ({ ended } = around1);
      expect([nth, around1.after === around1.before]).toEqual([nth, ended === 'ended']);
      // The next instance leads, and its log and store agree.
      value = `after ${nth}`;
      await putAt(key, 'k', value);
      expect(await (await withKey(key, '/v1/kv/k')).text()).toBe(value);
    }
    // Those of the log, of the key and of the batch: at each of them a turn threw.
    expect(nth).toBe(5);
  });

  it('GROUP-TURN-5: the same of entries without a savepoint, at each statement and between the steps', async () => {
    const steps: readonly TurnStep[] = ['sendEarly', 'write', 'written', 'send', 'answer'];
    const name = ['turns without savepoints', 1] as const;
    const run = (throws: number | TurnStep): Promise<{ before: string; ended: Ended; after: string }> =>
      around(name, async (state) => {
        let isArmed = false;
        const driver = driverOf(state.storage, (step) => {
          if (isArmed && step === throws) throw new Error(planted);
        });
        driver.campaign();
        write(driver, `before ${throws}`);
        await state.storage.sync();
        const settled = rowsIn(state.storage);
        state.storage.kv.put('settled', settled);
        await state.storage.sync();
        isArmed = true;
        if (typeof throws === 'number') throwAt(state.storage.sql, throws);
        try {
          write(driver, `of ${throws}`);
        } catch {
          // As `Member` and `Replica` do it.
          state.abort(planted);
        }
        Reflect.deleteProperty(state.storage.sql, 'exec');
      });
    let ended: Ended = 'ended';
    let nth = 1;
    for (; ended === 'ended'; nth++) {
      const done = await run(nth);
      ({ ended } = done);
      if (ended === 'ended') await expectSettled(name, done.after);
    }
    expect(nth).toBe(6);
    const met: TurnStep[] = [];
    for (const step of steps) {
      const done = await run(step);
      if (done.ended !== 'ended') continue;
      met.push(step);
      await expectSettled(name, done.after);
    }
    // A group of one has nobody to send to.
    expect(met).toEqual(['write', 'written', 'answer']);
  });
});

/** Also log and store agree: the store has what the log says is committed, and not more. */
async function expectSettled(name: readonly [string, number], after: string): Promise<void> {
  await runInDurableObject(replicaStub(...name), (_, { storage }) => {
    expect(after).toBe(storage.kv.get('settled'));
    const sql = new ObjectSql(storage);
    const log = new LogTable(sql);
    const store = new Store(sql);
    expect(store.appliedIndex).toBe(log.lastIndex());
    expect(log.hardState.commit).toBeLessThanOrEqual(log.lastIndex());
    const result = store.range(range('k'));
    expect(result.kind === 'answer' && result.answer.kvs.at(0)?.modRevision).toBe(store.revision);
  });
}

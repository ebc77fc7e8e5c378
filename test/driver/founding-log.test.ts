// A group whose replicas begin with a log: its level and its first key are there before anybody leads.

import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.ts';
import { foundLog, knowsFounding } from '../../src/driver/founding-log.ts';
import type { Driver } from '../../src/driver/driver.ts';
import type { PeerMessage } from '../../src/driver/envelope.ts';
import { groupLevelMax } from '../../src/model/levels.ts';
import { noLease } from '../../src/model/brands.ts';
import type { Command, Operation } from '../../src/model/store.ts';
import { NodeSql } from '../support/node-sql.ts';
import { driverOf } from './leader-alone.ts';

const caller = { kind: 'service' } as const;
const key = { id: 'first', name: '', role: 'admin', prefix: utf8(''), expiresAtMs: null, createdAtMs: 1 } as const;
const firstKey: Command = { writeId: 's:1', caller, operation: { kind: 'createAccessKey', accessKey: key }, atMs: 1 };
const founding = { level: groupLevelMax, commands: [firstKey] };
const request = { key: utf8('k'), value: utf8('v'), lease: noLease };
const putting: Operation = {
  kind: 'put',
  request: { ...request, previous: false, ignoreValue: false, ignoreLease: false },
};

class FoundedGroup {
  readonly databases = [1, 2, 3].map(() => new NodeSql());
  /** Kinds of the messages that were sent, in order. */
  readonly sent: string[] = [];
  #drivers: Driver[] = [];
  #network: PeerMessage[] = [];

  constructor() {
    for (const sql of this.databases) sql.transaction(() => foundLog(sql, founding));
    this.start();
  }

  /** Each replica begins with what is on its disk. */
  start(): void {
    this.#network = [];
    this.#drivers = this.databases.map((sql, place) => {
      return driverOf({ id: place + 1, members: 3, sql, send: (messages) => void this.#network.push(...messages) });
    });
  }

  driver(number: number): Driver {
    const driver = this.#drivers[number - 1];
    if (driver === undefined) throw new Error(`no replica ${number}`);
    return driver;
  }

  deliver(): void {
    for (let message = this.#network.shift(); message !== undefined; message = this.#network.shift()) {
      this.sent.push(message.kind);
      this.driver(message.to).receive([message], null);
    }
  }
}

describe('GROUP-FOUND-1: a group that is founded', () => {
  it('has its level and its first key on each replica, and nobody sends anything before it is asked', () => {
    const group = new FoundedGroup();
    expect(group.sent).toEqual([]);
    for (const number of [1, 2, 3]) {
      const driver = group.driver(number);
      expect(driver.raft).toMatchObject({ role: 'follower', leader: null, term: 1, commit: 2, lastIndex: 2 });
      driver.goOn();
      expect(driver.store.level).toBe(groupLevelMax);
      expect(driver.store.accessKeys().map(({ id }) => id)).toEqual(['first']);
    }
    expect(group.sent).toEqual([]);
  });

  it.each([1, 2, 3])(
    'is led by replica %i, if that is asked first, and takes writes of every kind at once',
    (first) => {
      const group = new FoundedGroup();
      group.driver(first).campaign();
      group.deliver();
      expect(group.driver(first).raft.role).toBe('leader');
      const accessKey = { ...key, id: 'second', name: 'named' };
      const results: unknown[] = [];
      for (const operation of [putting, { kind: 'createAccessKey', accessKey } as const])
        group.driver(first).write({ caller, writeId: operation.kind, operation }, (result) => results.push(result));
      group.deliver();
      expect(results).toMatchObject([{ kind: 'applied' }, { kind: 'applied' }]);
      group.driver(first).tick();
      group.deliver();
      for (const number of [1, 2, 3]) {
        const { store } = group.driver(number);
        expect(store.accessKeys().map(({ id }) => id)).toEqual(['first', 'second']);
        expect(store.runningHash).toEqual(group.driver(first).store.runningHash);
        expect(store.runningHash).not.toBeNull();
      }
    },
  );

  it('remembers the id of the first key: a second attempt of its command changes nothing', () => {
    const group = new FoundedGroup();
    group.driver(1).campaign();
    group.deliver();
    const results: unknown[] = [];
    const { operation } = firstKey;
    group.driver(1).write({ caller, writeId: firstKey.writeId, operation }, (result) => results.push(result));
    group.deliver();
    expect(results).toMatchObject([{ kind: 'applied', outcome: { kind: 'createAccessKey' } }]);
    expect(group.driver(1).store.accessKeys()).toHaveLength(1);
  });
});

it('GROUP-FOUND-2: a replica that starts anew at any moment has what the group was founded with', () => {
  const group = new FoundedGroup();
  group.start();
  group.driver(2).goOn();
  group.start();
  group.driver(3).campaign();
  group.deliver();
  group.start();
  for (const number of [1, 2, 3]) {
    group.driver(number).goOn();
    expect(group.driver(number).store.accessKeys()).toHaveLength(1);
    expect(group.driver(number).store.level).toBe(groupLevelMax);
  }
});

describe('GROUP-FOUND-3: what a replica does not know', () => {
  const named: Command = { ...firstKey, operation: { kind: 'createAccessKey', accessKey: { ...key, name: 'n' } } };

  it('is a level above its own, and a command that its level does not have', () => {
    expect(knowsFounding(founding)).toBe(true);
    expect(knowsFounding({ ...founding, level: groupLevelMax + 1 })).toBe(false);
    expect(knowsFounding({ level: 3, commands: [named] })).toBe(false);
    expect(knowsFounding({ level: 4, commands: [named] })).toBe(true);
  });

  it('is refused before anything is written: a log begins once, and empty', () => {
    const sql = new NodeSql();
    expect(() => sql.transaction(() => foundLog(sql, { level: groupLevelMax, commands: [] }))).toThrow('commands');
    foundLog(sql, founding);
    expect(() => foundLog(sql, founding)).toThrow('once');
  });
});

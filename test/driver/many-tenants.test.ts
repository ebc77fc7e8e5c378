// Many tenants in one isolate: what their stores hold in memory over their logs has one budget.

import { expect, it } from 'vitest';
import { MemoryBudget, type Reservation } from '../../src/base/memory-budget.ts';
import {
  flushAfterQuietTicks,
  memoryBytesMax,
  memoryOfKeyBytesMax,
  memoryOfTenantBytesMax,
  tickMs,
  unflushedBytesMax,
} from '../../src/limits.ts';
import { replicaId } from '../../src/model/brands.ts';
import { foundingConfiguration } from '../../src/raft/configuration.ts';
import { Driver } from '../../src/driver/driver.ts';
import { put, service } from '../mvcc/requests.ts';
import { NodeSql } from '../support/node-sql.ts';
import { quietPort } from '../support/quiet-port.ts';

const own = replicaId(1);
const tenants = 30;
const value = new Uint8Array(16_384);

/** A group of one, whose memory counts as the product's does. */
class Tenant {
  readonly driver: Driver;
  readonly memory: Reservation;
  flushesAsked = 0;
  #writes = 0;

  constructor(budget: MemoryBudget, name: string) {
    this.memory = budget.reserve({ tenant: name, key: '' });
    this.driver = new Driver({
      id: own,
      founding: foundingConfiguration([{ id: own, location: '' }]),
      sql: new NodeSql(),
      random: () => 0.5,
      electionTimeoutTicks: 10,
      heartbeatTicks: 1,
      port: {
        ...quietPort,
        mayHold: (bytes) => this.memory.hold(bytes) === null,
        flushSoon: () => void this.flushesAsked++,
      },
    });
    this.driver.campaign();
    this.driver.tick();
    this.driver.flush();
  }

  get unflushedBytes(): number {
    return this.driver.store.unflushed.bytes;
  }

  write(): void {
    const writeId = `${this.#writes++}`;
    const operation = put(`k/${this.#writes % 100}`, value);
    this.driver.write({ writeId, caller: service, operation }, (result) => expect(result.kind).toBe('applied'));
  }
}

/** The budget of an isolate, or of one that has room for less. */
function isolate(bytesMax = memoryBytesMax): MemoryBudget {
  return new MemoryBudget({ bytesMax, tenantBytesMax: memoryOfTenantBytesMax, keyBytesMax: memoryOfKeyBytesMax });
}

it('GROUP-FLUSH-20: 30 tenants at their bounds, then silent, hold nothing after flushAfterQuietTicks', () => {
  const budget = isolate();
  const group = Array.from({ length: tenants }, (_, number) => new Tenant(budget, `t${number}`));
  for (const tenant of group) while (tenant.flushesAsked === 0) tenant.write();
  const held = group.reduce((sum, { unflushedBytes }) => sum + unflushedBytes, 0);
  expect(held).toBeGreaterThan((tenants * unflushedBytesMax) / 2);
  expect(budget.bytes).toBe(held);
  // Not even a flush that was asked for was done.
  for (let ticks = 0; ticks < flushAfterQuietTicks; ticks++) for (const { driver } of group) driver.tick();
  expect(flushAfterQuietTicks * tickMs).toBeLessThanOrEqual(1_000);
  expect([budget.bytes, ...group.map(({ unflushedBytes }) => unflushedBytes)]).toEqual([0, ...group.map(() => 0)]);
});

it('GROUP-FLUSH-21: tenants that find no room in the isolate flush at once, and every write is done', () => {
  const bytesMax = (tenants * unflushedBytesMax) / 4;
  const budget = isolate(bytesMax);
  const group = Array.from({ length: tenants }, (_, number) => new Tenant(budget, `t${number}`));
  let most = 0;
  for (let round = 0; round < 60; round++) {
    for (const tenant of group) {
      tenant.write();
      most = Math.max(most, budget.bytes);
    }
  }
  expect(most).toBeGreaterThan(bytesMax / 2);
  expect(most).toBeLessThanOrEqual(bytesMax);
  // Whoever has no room holds nothing of its own.
  const held = group.reduce((sum, { unflushedBytes }) => sum + unflushedBytes, 0);
  expect(held).toBeLessThanOrEqual(bytesMax + tenants * value.byteLength);
  for (const { driver } of group) expect(driver.store.revision).toBe(61);
});

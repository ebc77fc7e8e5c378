// A group of one replica on Node: the production driver and store, a clock that the test moves, and the lease service
// on top.

import { leaseId, type LeaseId, replicaId } from '../../../src/model/brands.ts';
import { groupLevelMax } from '../../../src/model/levels.ts';
import type { Caller, Operation, Outcome } from '../../../src/model/store.ts';
import { foundingConfiguration } from '../../../src/raft/configuration.ts';
import { Driver } from '../../../src/driver/driver.ts';
import type { ReadResult } from '../../../src/driver/pending-reads.ts';
import type { Write, WriteRequest, WriteResult } from '../../../src/driver/proposals.ts';
import { LeaseAlarm } from '../../../src/replica/lease/lease-alarm.ts';
import { LeaseService } from '../../../src/replica/lease/lease-service.ts';
import { NodeSql } from '../../support/node-sql.ts';
import { quietPort } from '../../support/quiet-port.ts';

export const service: Caller = { kind: 'service' };

export function lease(id: number): LeaseId {
  return leaseId(BigInt(id));
}

export function fail(error: unknown): never {
  throw error;
}

/** What an object's storage does for its alarm. */
export class MemoryAlarm {
  at: number | null = null;
  writes = 0;

  getAlarm(): Promise<number | null> {
    return Promise.resolve(this.at);
  }

  setAlarm(atMs: number): Promise<void> {
    this.at = atMs;
    this.writes++;
    return Promise.resolve();
  }

  deleteAlarm(): Promise<void> {
    this.at = null;
    this.writes++;
    return Promise.resolve();
  }
}

export class GroupOfOne {
  readonly sql = new NodeSql();
  readonly alarm = new MemoryAlarm();
  readonly driver: Driver;
  readonly leases: LeaseService;
  readonly kept = new Set<LeaseId>();
  clockMs = 1_000_000;
  rested = false;
  #writes = 0;
  #held: Write[] | null = null;

  /** `supports`: the highest level that the replica takes part in. It rises to that level with its ticks. */
  constructor({ supports = groupLevelMax }: { readonly supports?: number } = {}) {
    this.driver = new Driver({
      id: replicaId(1),
      founding: foundingConfiguration([{ id: replicaId(1), location: '' }]),
      supports,
      sql: this.sql,
      port: {
        ...quietPort,
        applySoon: () => this.driver.goOn(),
        flushSoon: () => this.driver.flush(),
        rest: () => {
          this.rested = true;
        },
        nowMs: () => this.clockMs,
      },
      random: () => 0.5,
      electionTimeoutTicks: 10,
      heartbeatTicks: 1,
    });
    this.leases = new LeaseService({
      member: {
        driver: this.driver,
        nowMs: () => this.clockMs,
        read: () => new Promise<ReadResult>((settle) => this.driver.read(settle)),
        write: (request: WriteRequest, options?: { readonly quiet?: boolean }) =>
          new Promise<WriteResult>((settle) => this.#submit({ request, settle, ...options })),
        leader: () => Promise.resolve(this.driver.raft.leader),
      },
      alarm: new LeaseAlarm(this.alarm, fail),
      rank: 0,
      kept: () => this.kept,
      newWriteId: () => `l:${this.#writes++}`,
      wait: () => new Promise((resolve) => setImmediate(resolve)),
      broken: fail,
    });
    this.driver.listen({
      leasesChanged: (changes) => this.leases.applied(changes),
      leaderChanged: () => this.leases.leaderChanged(),
      mayRest: () => this.leases.mayRest(),
      resting: () => this.leases.resting(),
    });
  }

  #submit(write: Write): void {
    if (this.#held === null) this.driver.submit([write], []);
    else this.#held.push(write);
  }

  /** From here on the writes of the lease service stay under way, as among many calls or over a slow network. */
  hold(): void {
    this.#held = [];
  }

  /** These writes arrive, in their order. */
  async release(): Promise<void> {
    const held = this.#held ?? [];
    this.#held = null;
    this.driver.submit(held, []);
    await this.settled();
  }

  async lead(): Promise<void> {
    this.driver.campaign();
    await this.settled();
  }

  /** Waits until everything that was started is done. */
  async settled(): Promise<void> {
    for (let round = 0; round < 5; round++) await new Promise((resolve) => setImmediate(resolve));
  }

  async tick(ticks = 1): Promise<void> {
    for (let count = 0; count < ticks; count++) {
      this.clockMs += 100;
      this.driver.tick();
      this.leases.tick();
      await this.settled();
    }
  }

  async untilRested(): Promise<void> {
    this.rested = false;
    for (let ticks = 0; ticks < 200 && !this.rested; ticks++) await this.tick();
    if (!this.rested) throw new Error('the group does not rest');
  }

  async write(operation: Operation): Promise<Outcome> {
    const request = { writeId: `t:${this.#writes++}`, caller: service, operation };
    const result = await new Promise<WriteResult>((settle) => this.driver.write(request, settle));
    if (result.kind !== 'applied') throw new Error(`a write was ${result.kind}`);
    return result.outcome;
  }

  grant(id: number, ttlSeconds: number): Promise<Outcome> {
    return this.write({ kind: 'leaseGrant', id: lease(id), candidate: lease(1), ttlSeconds });
  }

  /** The rows of all tables of leases. */
  rows(): number {
    return ['leases', 'lease_keys', 'head'].reduce(
      (sum, table) => sum + Number(this.sql.all(`SELECT COUNT(*) FROM ${table}`)[0]?.[0] ?? 0),
      0,
    );
  }
}

// The driver of the code from before groups had levels, with the interface that the simulator asks of drivers today.

import { assert } from '../../../src/base/assert.ts';
import type { ReplicaId } from '../../../src/model/brands.ts';
import { groupLevel } from '../../../src/model/levels.ts';
import { foundingConfiguration } from '../../../src/raft/configuration.ts';
import type { RaftView } from '../../../src/driver/driver.ts';
import type { Read, ReadResult } from '../../../src/driver/pending-reads.ts';
import type { Write, WriteRequest, WriteResult } from '../../../src/driver/proposals.ts';
import type { PeerMessage } from '../../../src/driver/envelope.ts';
import { isSnapshotMessage } from '../../../src/driver/snapshot-codec.ts';
import type { SqlPort } from '../../../src/base/sql-port.ts';
import * as level1 from '../../support/levels/level-1.js';
import type { RunningDriver, RunningStore, StartOptions } from './code.ts';

export class DriverOfLevel1 implements RunningDriver {
  readonly store: RunningStore;
  readonly raft: RaftView;
  readonly report = null;
  readonly #driver: level1.Driver;
  readonly #sql: SqlPort;

  constructor({ id, voters, sql, port, random, electionTimeoutTicks, heartbeatTicks }: StartOptions) {
    this.#sql = sql;
    this.#driver = new level1.Driver({ id, voters, sql, port, random, electionTimeoutTicks, heartbeatTicks });
    this.store = Object.assign(this.#driver.store, { level: groupLevel.first, storedLeaseDeadlineMs: () => null });
    const configuration = foundingConfiguration(voters.map((voter) => ({ id: voter, location: '' })));
    this.raft = Object.assign(this.#driver.raft, { configuration, isConfigurationCommitted: true, silentTicksOf });
  }

  get halted(): string | null {
    return this.#driver.halted;
  }

  receive(messages: readonly PeerMessage[]): void {
    this.#driver.receive(messages.filter((message) => !isSnapshotMessage(message)));
  }

  tick(): void {
    this.#driver.tick();
  }

  /** This driver never cuts its log. */
  get logSize(): { readonly entries: number; readonly bytes: number } {
    return { entries: 0, bytes: 0 };
  }

  /** This driver applies everything at once. */
  goOn(): void {}

  campaign(): void {
    this.#driver.campaign();
  }

  transferLeadership(to: ReplicaId): void {
    this.#driver.transferLeadership(to);
  }

  submit(writes: readonly Write[], reads: readonly Read[]): void {
    this.#driver.submit(
      writes.map((write) => ({ ...write, request: requestOfLevel1(write.request) })),
      reads,
    );
  }

  write(request: WriteRequest, settle: (result: WriteResult) => void): void {
    this.#driver.write(requestOfLevel1(request), settle);
  }

  read(settle: (result: ReadResult) => void): void {
    this.#driver.read(settle);
  }

  sweep(rowsMax: number): void {
    if (this.halted === null) this.#sql.transaction(() => this.#driver.store.compactStep(rowsMax));
  }

  /** This driver knows of no changes of members. */
  absent(): void {}

  proposeConfiguration(): boolean {
    return false;
  }

  knowsOperation(): boolean {
    return false;
  }
}

function requestOfLevel1({ operation, ...request }: WriteRequest): level1.WriteOfLevel1['request'] {
  assert(operation.kind !== 'groupLevel', 'the former code proposes no level');
  if (operation.kind !== 'leaseExpire') return { ...request, operation };
  return { ...request, operation: { kind: 'leaseExpire', ids: operation.leases.map(({ id }) => id) } };
}

/** This driver does not say whom it has not heard. */
function silentTicksOf(): null {
  return null;
}

// The part of level-1.js that tests use. Its types are those of today where they have not changed.

import type { Command, Operation, RevisionEvents } from '../../../src/model/store.ts';
import type { LeaseId, ReplicaId, Revision } from '../../../src/model/brands.ts';
import type { LeaseChange, StoredLease } from '../../../src/mvcc/leases.ts';
import type { Store } from '../../../src/mvcc/store.ts';
import type { Raft } from '../../../src/raft/raft.ts';
import type { Message } from '../../../src/raft/types.ts';
import type { TurnStep } from '../../../src/driver/driver-port.ts';
import type { Read, ReadResult } from '../../../src/driver/pending-reads.ts';
import type { Write, WriteRequest, WriteResult } from '../../../src/driver/proposals.ts';
import type { SqlPort } from '../../../src/base/sql-port.ts';

export type PortOfLevel1 = {
  send(messages: readonly Message[]): void;
  published(events: readonly RevisionEvents[], revision: Revision): void;
  applied(commands: readonly Command[]): void;
  leasesChanged?(changes: readonly LeaseChange[]): void;
  leaderChanged(leader: ReplicaId | null): void;
  rest(): void;
  mayRest?(): boolean;
  nowMs(): number;
  before?(step: TurnStep): void;
};

/** An expiry of a mere id did not say which grant of that id it meant. */
export type OperationOfLevel1 = Operation | { readonly kind: 'leaseExpire'; readonly ids: readonly LeaseId[] };

export type WriteOfLevel1 = Omit<Write, 'request'> & {
  readonly request: Omit<WriteRequest, 'operation'> & { readonly operation: OperationOfLevel1 };
};

export type StoreOfLevel1 = Pick<
  Store,
  | 'revision'
  | 'compactedRevision'
  | 'appliedIndex'
  | 'range'
  | 'history'
  | 'authorize'
  | 'authorizeRange'
  | 'authorizeKey'
  | 'query'
  | 'leasesSettled'
  | 'leaseCount'
  | 'earliestLeaseDeadlineMs'
  | 'compactStep'
> & { leases(): IterableIterator<StoredLease> };

export class Driver {
  constructor(options: {
    readonly id: ReplicaId;
    readonly voters: readonly ReplicaId[];
    readonly sql: SqlPort;
    readonly port: PortOfLevel1;
    readonly random: () => number;
    readonly electionTimeoutTicks: number;
    readonly heartbeatTicks: number;
  });
  readonly raft: Pick<Raft, 'id' | 'role' | 'leader' | 'term' | 'commit' | 'lastIndex' | 'resting' | 'matchOf'>;
  readonly halted: string | null;
  readonly store: StoreOfLevel1;
  receive(messages: readonly Message[]): void;
  tick(): void;
  campaign(): void;
  transferLeadership(to: ReplicaId): void;
  submit(writes: readonly WriteOfLevel1[], reads: readonly Read[]): void;
  write(request: WriteOfLevel1['request'], settle: (result: WriteResult) => void): void;
  read(settle: (result: ReadResult) => void): void;
}

export function encodeEnvelope(envelope: { readonly group: string; readonly messages: readonly Message[] }): Uint8Array;
export function decodeEnvelope(bytes: Uint8Array): { readonly group: string; readonly messages: readonly Message[] };

// The part of level-2.js that tests use. Its types are those of today where they have not changed.

import type { ReplicaId } from '../../../src/model/brands.ts';
import type { Command } from '../../../src/model/store.ts';
import type { Store as PresentStore } from '../../../src/mvcc/store.ts';
import type { Configuration } from '../../../src/raft/configuration.ts';
import type { DriverOptions, RaftView } from '../../../src/driver/driver.ts';
import type { Envelope, PeerMessage } from '../../../src/driver/envelope.ts';
import type { PeerReport } from '../../../src/driver/peer-report.ts';
import type { Read, ReadResult } from '../../../src/driver/pending-reads.ts';
import type { Write, WriteRequest, WriteResult } from '../../../src/driver/proposals.ts';
import type { SqlPort } from '../../../src/base/sql-port.ts';
import type { StoreOfLevel1 } from './level-1.js';

export type StoreOfLevel2 = StoreOfLevel1 & Pick<PresentStore, 'level' | 'runningHash' | 'storedLeaseDeadlineMs'>;

export class Driver {
  constructor(options: DriverOptions);
  readonly raft: RaftView;
  readonly halted: string | null;
  readonly store: StoreOfLevel2;
  readonly report: PeerReport;
  readonly logSize: { readonly entries: number; readonly bytes: number };
  receive(messages: readonly PeerMessage[], report: PeerReport | null): void;
  tick(): void;
  goOn(): void;
  campaign(): void;
  transferLeadership(to: ReplicaId): void;
  submit(writes: readonly Write[], reads: readonly Read[]): void;
  write(request: WriteRequest, settle: (result: WriteResult) => void): void;
  read(settle: (result: ReadResult) => void): void;
  sweep(rowsMax: number): void;
  absent(peer: ReplicaId): void;
  proposeConfiguration(present: Configuration, next: Configuration): boolean;
}

export class Store implements Pick<PresentStore, 'apply' | 'compactStep' | 'level' | 'runningHash'> {
  constructor(sql: SqlPort);
  readonly level: number;
  readonly runningHash: PresentStore['runningHash'];
  apply: PresentStore['apply'];
  compactStep: PresentStore['compactStep'];
}

export function encodeCommands(commands: readonly Command[]): Uint8Array;
export function decodeCommands(bytes: Uint8Array): Command[];
export function encodeEnvelope(envelope: Envelope): Uint8Array;
export function decodeEnvelope(bytes: Uint8Array): Envelope;

// What is used of level-1.js. Its types are those of today where they have not changed.

import type { LogIndex, ReplicaId, Revision } from '../../src/brands.ts';
import type { Message } from '../../src/raft/types.ts';
import type { WriteRequest, WriteResult } from '../../src/replica/driver.ts';
import type { SqlPort } from '../../src/sql-port.ts';

export type PortOfLevel1 = {
  send(messages: readonly Message[]): void;
  published(): void;
  applied(): void;
  leaderChanged(): void;
  rest(): void;
  nowMs(): number;
};

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
  readonly raft: { readonly role: string; readonly leader: ReplicaId | null };
  readonly halted: string | null;
  readonly store: { readonly appliedIndex: LogIndex; readonly revision: Revision };
  receive(messages: readonly Message[]): void;
  tick(): void;
  transferLeadership(to: ReplicaId): void;
  write(request: WriteRequest, settle: (result: WriteResult) => void): void;
}

export function encodeEnvelope(envelope: { readonly group: string; readonly messages: readonly Message[] }): Uint8Array;
export function decodeEnvelope(bytes: Uint8Array): { readonly group: string; readonly messages: readonly Message[] };

// Answers, events and pairs as plain JSON text, so that what the system says can be compared with what the model
// expects, and printed.

import { Buffer } from 'node:buffer';
import { unreachable } from '../../../src/base/assert.ts';
import type { KeyValue, Outcome, RangeAnswer, RevisionEvents, TxnAnswer, TxnPart } from '../../../src/model/store.ts';

export type PlainPair = {
  readonly key: string;
  readonly value: string;
  readonly create: number;
  readonly mod: number;
  readonly version: number;
  readonly lease: string;
};
export type PlainRange = { readonly kvs: readonly PlainPair[]; readonly count: number; readonly more: boolean };
export type PlainEvent = {
  readonly type: 'put' | 'delete';
  readonly pair: PlainPair;
  readonly previous: PlainPair | null;
};
export type PlainPart =
  | { readonly kind: 'range'; readonly revision: number; readonly answer: PlainRange }
  | { readonly kind: 'put'; readonly revision: number; readonly previous: PlainPair | null }
  | {
      readonly kind: 'deleteRange';
      readonly revision: number;
      readonly deleted: number;
      readonly previous: readonly PlainPair[];
    };
export type PlainOutcome =
  | { readonly kind: 'put'; readonly revision: number; readonly previous: PlainPair | null }
  | {
      readonly kind: 'deleteRange';
      readonly revision: number;
      readonly deleted: number;
      readonly previous: readonly PlainPair[];
    }
  | {
      readonly kind: 'txn';
      readonly revision: number;
      readonly succeeded: boolean;
      readonly parts: readonly PlainPart[];
    }
  | { readonly kind: 'leaseGrant'; readonly revision: number; readonly id: string; readonly ttlSeconds: number }
  | { readonly kind: 'alarm' | 'compact' | 'done' | 'createAccessKey'; readonly revision: number }
  | { readonly kind: 'revokeAccessKey'; readonly revision: number; readonly existed: boolean }
  | { readonly kind: 'failed'; readonly revision: number; readonly failure: string };

export function textOfBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

export function plainPair(pair: KeyValue): PlainPair {
  return {
    key: textOfBytes(pair.key),
    value: textOfBytes(pair.value),
    create: pair.createRevision,
    mod: pair.modRevision,
    version: pair.version,
    lease: String(pair.lease),
  };
}

export function plainRange(answer: RangeAnswer): PlainRange {
  return { kvs: answer.kvs.map(plainPair), count: answer.count, more: answer.more };
}

/** Answers that no client of the simulator can get become text that no model expects. */
export function plainOutcome(outcome: Outcome): PlainOutcome | { readonly kind: string } {
  const { revision } = outcome;
  switch (outcome.kind) {
    case 'put':
      return { kind: 'put', revision, previous: plainOrNull(outcome.answer.previous) };
    case 'deleteRange': {
      const { deleted, previous } = outcome.answer;
      return { kind: 'deleteRange', revision, deleted, previous: previous.map(plainPair) };
    }
    case 'txn':
      return { kind: 'txn', revision, ...plainTxn(outcome.answer) };
    case 'leaseGrant':
      return { kind: 'leaseGrant', revision, id: String(outcome.id), ttlSeconds: outcome.ttlSeconds };
    case 'alarm':
    case 'compact':
    case 'done':
    case 'createAccessKey':
      return { kind: outcome.kind, revision };
    case 'revokeAccessKey':
      return { kind: 'revokeAccessKey', revision, existed: outcome.existed };
    case 'failed':
      return { kind: 'failed', revision, failure: outcome.failure.kind };
    case 'appliedBefore':
      return { kind: outcome.kind };
    default:
      return unreachable(outcome);
  }
}

export function plainEvents(whole: RevisionEvents): PlainEvent[] {
  return whole.events.map(({ type, kv, previous }) => ({ type, pair: plainPair(kv), previous: plainOrNull(previous) }));
}

function plainTxn(answer: TxnAnswer): { readonly succeeded: boolean; readonly parts: readonly (PlainPart | string)[] } {
  return { succeeded: answer.succeeded, parts: answer.parts.map(plainPart) } as const;
}

function plainPart(part: TxnPart): PlainPart | string {
  switch (part.kind) {
    case 'range':
      return { kind: 'range', revision: part.revision, answer: plainRange(part.answer) };
    case 'put':
      return { kind: 'put', revision: part.revision, previous: plainOrNull(part.answer.previous) };
    case 'deleteRange': {
      const { deleted, previous } = part.answer;
      return { kind: 'deleteRange', revision: part.revision, deleted, previous: previous.map(plainPair) };
    }
    case 'txn':
      return 'a nested txn, which no client asked for';
    default:
      return unreachable(part);
  }
}

function plainOrNull(pair: KeyValue | null): PlainPair | null {
  return pair === null ? null : plainPair(pair);
}

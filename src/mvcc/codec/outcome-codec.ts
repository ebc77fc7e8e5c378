// How the outcome of a write is remembered: compactly, and exactly as it was answered. Only the format that wrote it
// reads it.

import { assert, unreachable } from '../../base/assert.ts';
import { leaseId, revision } from '../../model/brands.ts';
import { type AuthFailure, authFailureKinds } from '../../model/auth.ts';
import { BinaryReader, BinaryWriter, MalformedBytesError } from '../../base/binary.ts';
import { rememberedAnswerBytesMax } from '../../limits.ts';
import { readAlarm, writeAlarm } from './administration-codec.ts';
import { readDeleted, readTxnAnswer, writeDeleted, writeTxnAnswer } from '../../model/codec/answer-codec.ts';
import { readPair, writePair } from '../../model/codec/pair-codec.ts';
import type { Outcome, StoreFailure } from '../../model/store.ts';

const outcomeCode = {
  put: 0,
  putWithPrevious: 1,
  deleteRange: 2,
  txn: 3,
  compact: 4,
  createAccessKey: 5,
  revokeAccessKey: 6,
  revokeAccessKeyUnknown: 7,
  appliedBefore: 8,
  failed: 9,
  leaseGrant: 10,
  alarm: 11,
  done: 12,
} as const;

// The position in this list is the number in the row: only ever add at the end.
const failureKinds = [
  'keyNotProvided',
  'keyTooLong',
  'valueTooLarge',
  'valueProvided',
  'leaseProvided',
  'keyNotFound',
  'leaseNotFound',
  'tooManyOperations',
  'duplicateKey',
  'invalidSortOption',
  'compacted',
  'futureRevision',
  'answerTooLarge',
  'noSpace',
  'tooManyAccessKeys',
  'accessKeyExists',
  'leaseExists',
  'leaseTtlTooLarge',
  'corruptAlarm',
  'tooMany',
  'nameTooLong',
  'operationNotServed',
  ...authFailureKinds,
  'downgradeInProgress',
  'forbidden',
] as const satisfies readonly StoreFailure['kind'][];

// As `failureKinds`.
const countedKinds = ['leases', 'users', 'roles', 'permissions', 'alarms'] as const;

/** The answer. Of too large an answer, only the fact that there was one. */
export function encodeOutcome(outcome: Outcome): Uint8Array {
  const writer = new BinaryWriter(64);
  writeOutcome(writer, outcome);
  if (writer.length <= rememberedAnswerBytesMax) return writer.finish();
  const short = new BinaryWriter();
  short.byte(outcomeCode.appliedBefore);
  short.varint(outcome.revision);
  return short.finish();
}

export function decodeOutcome(bytes: Uint8Array): Outcome {
  const reader = new BinaryReader(bytes);
  const outcome = readOutcome(reader);
  reader.end();
  return outcome;
}

function writeOutcome(writer: BinaryWriter, outcome: Outcome): void {
  switch (outcome.kind) {
    case 'put': {
      const { previous } = outcome.answer;
      writer.byte(previous === null ? outcomeCode.put : outcomeCode.putWithPrevious);
      writer.varint(outcome.revision);
      if (previous !== null) writePair(writer, previous);
      return;
    }
    case 'deleteRange':
      writer.byte(outcomeCode.deleteRange);
      writer.varint(outcome.revision);
      writeDeleted(writer, outcome.answer, rememberedAnswerBytesMax);
      return;
    case 'txn':
      writer.byte(outcomeCode.txn);
      writer.varint(outcome.revision);
      writeTxnAnswer(writer, outcome.answer, rememberedAnswerBytesMax);
      return;
    case 'revokeAccessKey':
      writer.byte(outcome.existed ? outcomeCode.revokeAccessKey : outcomeCode.revokeAccessKeyUnknown);
      writer.varint(outcome.revision);
      return;
    case 'leaseGrant':
      writer.byte(outcomeCode.leaseGrant);
      writer.varint(outcome.revision);
      writer.signed64(outcome.id);
      writer.varint(outcome.ttlSeconds);
      return;
    case 'alarm':
      writer.byte(outcomeCode.alarm);
      writer.varint(outcome.revision);
      writer.varint(outcome.alarms.length);
      for (const alarm of outcome.alarms) writeAlarm(writer, alarm);
      return;
    case 'compact':
    case 'createAccessKey':
    case 'done':
    case 'appliedBefore':
      writer.byte(outcomeCode[outcome.kind]);
      writer.varint(outcome.revision);
      return;
    case 'failed':
      writer.byte(outcomeCode.failed);
      writer.varint(outcome.revision);
      return writeFailure(writer, outcome.failure);
    default:
      return unreachable(outcome);
  }
}

function readOutcome(reader: BinaryReader): Outcome {
  const code = reader.byte();
  const at = revision(reader.varint());
  switch (code) {
    case outcomeCode.put:
      return { kind: 'put', revision: at, answer: { previous: null } };
    case outcomeCode.putWithPrevious:
      return { kind: 'put', revision: at, answer: { previous: readPair(reader) } };
    case outcomeCode.deleteRange:
      return { kind: 'deleteRange', revision: at, answer: readDeleted(reader) };
    case outcomeCode.txn:
      return { kind: 'txn', revision: at, answer: readTxnAnswer(reader) };
    case outcomeCode.compact:
      return { kind: 'compact', revision: at };
    case outcomeCode.createAccessKey:
      return { kind: 'createAccessKey', revision: at };
    case outcomeCode.revokeAccessKey:
      return { kind: 'revokeAccessKey', revision: at, existed: true };
    case outcomeCode.revokeAccessKeyUnknown:
      return { kind: 'revokeAccessKey', revision: at, existed: false };
    case outcomeCode.leaseGrant:
      return { kind: 'leaseGrant', revision: at, id: leaseId(reader.signed64()), ttlSeconds: reader.varint() };
    case outcomeCode.alarm:
      return {
        kind: 'alarm',
        revision: at,
        alarms: Array.from({ length: reader.count() }, () => readAlarm(reader)),
      };
    case outcomeCode.done:
      return { kind: 'done', revision: at };
    case outcomeCode.appliedBefore:
      return { kind: 'appliedBefore', revision: at };
    case outcomeCode.failed:
      return { kind: 'failed', revision: at, failure: readFailure(reader) };
    default:
      throw new MalformedBytesError(`an outcome of kind ${code}`);
  }
}

// Code that does not know these failures reads their rows, too, as operations that are not served. No operation that is
// not served has a name that begins so.
const undoneMark = 'undone ';
const plainMarks = { accessKeyEnding: 'ending access key', tenantSuspended: 'suspended tenant' } as const;
const underDeletionMark = 'tenant deleted until ';
const tooManyKeysMark = 'more keys than ';
const tooMuchWorkMarks = { rows: 'more rows than ', 'value bytes': 'more value bytes than ' } as const;

function writeFailure(writer: BinaryWriter, failure: StoreFailure): void {
  if (failure.kind === 'commandUndone') {
    return writeFailure(writer, { kind: 'operationNotServed', operation: `${undoneMark}${failure.operation}` });
  }
  if (failure.kind === 'tooMuchWork') {
    return writeFailure(writer, {
      kind: 'operationNotServed',
      operation: `${tooMuchWorkMarks[failure.what]}${failure.max}`,
    });
  }
  if (failure.kind === 'tooMany' && failure.what === 'keys') {
    return writeFailure(writer, { kind: 'operationNotServed', operation: `${tooManyKeysMark}${failure.max}` });
  }
  if (failure.kind === 'accessKeyEnding' || failure.kind === 'tenantSuspended') {
    return writeFailure(writer, { kind: 'operationNotServed', operation: plainMarks[failure.kind] });
  }
  if (failure.kind === 'tenantUnderDeletion') {
    return writeFailure(writer, { kind: 'operationNotServed', operation: `${underDeletionMark}${failure.wipeAtMs}` });
  }
  const place = failureKinds.findIndex((kind) => kind === failure.kind);
  assert(place >= 0, 'of a key that is no good, nothing is remembered');
  writer.byte(place);
  const { kind } = failure;
  if (kind === 'keyTooLong' || kind === 'valueTooLarge' || kind === 'nameTooLong') writer.varint(failure.bytes);
  // -1: nothing was compacted.
  else if (kind === 'compacted') writer.varint(failure.compactedRevision + 1);
  else if (kind === 'futureRevision') writer.varint(failure.revision);
  else if (kind === 'tooManyAccessKeys') writer.varint(failure.max);
  else if (kind === 'operationNotServed') writer.text(failure.operation);
  else if (kind === 'forbidden') writer.text(failure.need);
  else if (kind === 'tooMany') {
    writer.byte(countedKinds.findIndex((what) => what === failure.what));
    writer.varint(failure.max);
  }
}

function readFailure(reader: BinaryReader): StoreFailure {
  const code = reader.byte();
  const kind = failureKinds[code];
  if (kind === undefined) throw new MalformedBytesError(`a failure of kind ${code}`);
  if (kind === 'keyTooLong' || kind === 'valueTooLarge' || kind === 'nameTooLong') {
    return { kind, bytes: reader.varint() };
  }
  if (kind === 'compacted') return { kind, compactedRevision: reader.varint() - 1 };
  if (kind === 'futureRevision') return { kind, revision: reader.varint() };
  if (kind === 'tooManyAccessKeys') return { kind, max: reader.varint() };
  if (kind === 'operationNotServed') return readNotServed(reader.text());
  if (kind === 'forbidden') return { kind, need: reader.text(), prefix: null };
  if (kind === 'tooMany') {
    const what = countedKinds[reader.byte()];
    if (what === undefined) throw new MalformedBytesError('a bound of something unknown');
    return { kind, what, max: reader.varint() };
  }
  return isAuthFailure(kind) ? { kind } : { kind };
}

function readNotServed(operation: string): StoreFailure {
  if (operation.startsWith(undoneMark)) return { kind: 'commandUndone', operation: operation.slice(undoneMark.length) };
  for (const kind of ['accessKeyEnding', 'tenantSuspended'] as const) {
    if (operation === plainMarks[kind]) return { kind };
  }
  if (operation.startsWith(underDeletionMark)) {
    return { kind: 'tenantUnderDeletion', wipeAtMs: Number(operation.slice(underDeletionMark.length)) };
  }
  if (operation.startsWith(tooManyKeysMark)) {
    return { kind: 'tooMany', what: 'keys', max: Number(operation.slice(tooManyKeysMark.length)) };
  }
  for (const what of ['rows', 'value bytes'] as const) {
    const mark = tooMuchWorkMarks[what];
    if (operation.startsWith(mark)) return { kind: 'tooMuchWork', what, max: Number(operation.slice(mark.length)) };
  }
  return { kind: 'operationNotServed', operation };
}

function isAuthFailure(kind: StoreFailure['kind']): kind is AuthFailure['kind'] {
  return authFailureKinds.some((each) => each === kind);
}

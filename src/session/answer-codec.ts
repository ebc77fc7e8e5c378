// What a replica answers to a call, in bytes: the outcome with the header of the replica that answered, or which
// replica can answer instead. Its version is that of the calls (`call-codec.ts`).

import { assert, unreachable } from '../base/assert.ts';
import { BinaryReader, BinaryWriter, MalformedBytesError } from '../base/binary.ts';
import { ByteParts, PartsWriter } from '../base/byte-parts.ts';
import { callNestedMax } from '../limits.ts';
import { leaseId, revision } from '../model/brands.ts';
import type { CallAnswer, CallOutcome, PlacedMember, ResponseHeader } from '../model/calls.ts';
import {
  deletedBytes,
  rangeAnswerBytes,
  readDeleted,
  readRangeAnswer,
  readTxnAnswer,
  txnAnswerBytes,
  writeDeleted,
  writeRangeAnswer,
  writeTxnAnswer,
} from '../model/codec/answer-codec.ts';
import { pairBytes, readPair, writePair } from '../model/codec/pair-codec.ts';
import type { KeyValue } from '../model/store.ts';
import { readFailure, writeFailure } from './failure-codec.ts';
import { readQueryAnswer, writeQueryAnswer } from './query-codec.ts';

/** The first byte of an answer. */
export const answerCode = { notLeader: 1, absent: 2, answered: 3 } as const;

/** The byte after the header of a call that was answered. */
const outcomeCode = {
  range: 1,
  put: 2,
  putWithPrevious: 3,
  deleteRange: 4,
  txn: 5,
  leaseGrant: 6,
  /** Outcomes that say no more than that the call was done. */
  compact: 7,
  done: 8,
  appliedBefore: 9,
  queried: 10,
  timeToLive: 11,
  pastDeadline: 12,
  refusedByStore: 13,
  refusedByService: 14,
} as const;

type Written = Extract<CallOutcome, { readonly kind: 'written' }>['outcome'];

export function encodeAnswer(answer: CallAnswer): Uint8Array {
  const writer = new BinaryWriter(expectedBytes(answer));
  writeAnswer(writer, answer);
  return writer.finish();
}

/** The same bytes. The answer is given up, because the parts may take over what it holds (`PackedPairs`). */
export function encodeAnswerInParts(answer: CallAnswer): ByteParts {
  const writer = new PartsWriter(expectedBytes(answer));
  writeAnswer(writer, answer);
  return new ByteParts(writer.parts());
}

function writeAnswer(writer: BinaryWriter, answer: CallAnswer): void {
  switch (answer.kind) {
    case 'answered':
      writer.byte(answerCode.answered);
      writeHeader(writer, answer.header);
      writeOutcome(writer, answer.outcome);
      break;
    case 'notLeader':
      writer.byte(answerCode.notLeader);
      writer.varint(answer.leader);
      writeMembers(writer, answer.members);
      break;
    case 'absent':
      writer.byte(answerCode.absent);
      break;
    default:
      unreachable(answer);
  }
}

/**
 * The bytes of keys and values are views of `bytes`. Null: the bytes are no answer. Bytes of 0 before an answer that
 * was late mean nothing.
 */
export function decodeAnswer(bytes: Uint8Array): CallAnswer | null {
  const reader = new BinaryReader(bytes);
  try {
    const answer = readAnswer(reader);
    reader.end();
    return answer;
  } catch (error) {
    if (error instanceof MalformedBytesError) return null;
    throw error;
  }
}

function readAnswer(reader: BinaryReader): CallAnswer {
  let code = reader.byte();
  while (code === 0) code = reader.byte();
  switch (code) {
    case answerCode.answered: {
      const header = readHeader(reader);
      return { kind: 'answered', header, outcome: readOutcome(reader) };
    }
    case answerCode.notLeader:
      return { kind: 'notLeader', leader: reader.varint(), members: readMembers(reader) };
    case answerCode.absent:
      return { kind: 'absent' };
    default:
      throw new MalformedBytesError(`an answer of kind ${code}`);
  }
}

/**
 * A large answer is written into a buffer of its size: one that grows is copied again and again, and what is left of
 * the last one would stay in memory as long as the answer.
 */
function expectedBytes(answer: CallAnswer): number {
  if (answer.kind !== 'answered') return answerOverheadBytes;
  return answerOverheadBytes + pairsBytesOf(answer.outcome);
}

/** More than an answer takes beside its pairs, and what the writer wants to be free when it writes the last number. */
const answerOverheadBytes = 96;

function pairsBytesOf(outcome: CallOutcome): number {
  if (outcome.kind === 'range') return rangeAnswerBytes(outcome.answer);
  if (outcome.kind !== 'written') return 0;
  const written = outcome.outcome;
  if (written.kind === 'txn') return txnAnswerBytes(written.answer);
  if (written.kind === 'deleteRange') return deletedBytes(written.answer);
  return written.kind === 'put' && written.answer.previous !== null ? pairBytes(written.answer.previous) : 0;
}

export function writeHeader(
  writer: BinaryWriter,
  { clusterId, memberId, raftTerm, revision: at }: ResponseHeader,
): void {
  writer.signed64(BigInt.asIntN(64, BigInt(clusterId)));
  writer.signed64(BigInt.asIntN(64, BigInt(memberId)));
  writer.varint(raftTerm);
  writer.varint(at);
}

export function readHeader(reader: BinaryReader): ResponseHeader {
  return {
    clusterId: String(BigInt.asUintN(64, reader.signed64())),
    memberId: String(BigInt.asUintN(64, reader.signed64())),
    raftTerm: reader.varint(),
    revision: reader.varint(),
  };
}

function writeMembers(writer: BinaryWriter, members: readonly PlacedMember[]): void {
  writer.varint(members.length);
  for (const { number, location } of members) {
    writer.varint(number);
    writer.text(location);
  }
}

function readMembers(reader: BinaryReader): PlacedMember[] {
  return Array.from({ length: reader.count() }, () => ({ number: reader.varint(), location: reader.text() }));
}

function writeOutcome(writer: BinaryWriter, outcome: CallOutcome): void {
  switch (outcome.kind) {
    case 'range':
      writer.byte(outcomeCode.range);
      return writeRangeAnswer(writer, outcome.answer);
    case 'written':
      return writeWritten(writer, outcome.outcome);
    case 'queried':
      writer.byte(outcomeCode.queried);
      writer.varint(outcome.revision);
      return writeQueryAnswer(writer, outcome.answer);
    case 'timeToLive':
      writer.byte(outcome.remainingSeconds === null ? outcomeCode.pastDeadline : outcomeCode.timeToLive);
      writer.varint(outcome.revision);
      if (outcome.remainingSeconds !== null) writer.float(outcome.remainingSeconds);
      return writeQueryAnswer(writer, outcome.answer);
    case 'failed':
      writer.byte(outcome.by === 'store' ? outcomeCode.refusedByStore : outcomeCode.refusedByService);
      return writeFailure(writer, outcome.failure);
    default:
      return unreachable(outcome);
  }
}

function writeWritten(writer: BinaryWriter, outcome: Written): void {
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
      return writeDeleted(writer, outcome.answer);
    case 'txn':
      writer.byte(outcomeCode.txn);
      writer.varint(outcome.revision);
      return writeTxnAnswer(writer, outcome.answer);
    case 'leaseGrant':
      writer.byte(outcomeCode.leaseGrant);
      writer.varint(outcome.revision);
      writer.signed64(outcome.id);
      return writer.float(outcome.ttlSeconds);
    case 'compact':
    case 'done':
    case 'appliedBefore':
      writer.byte(outcomeCode[outcome.kind]);
      return writer.varint(outcome.revision);
    case 'alarm':
    case 'createAccessKey':
    case 'revokeAccessKey':
      return assert(false, 'such a write is no call of a client');
    default:
      return unreachable(outcome);
  }
}

function readOutcome(reader: BinaryReader): CallOutcome {
  const code = reader.byte();
  switch (code) {
    case outcomeCode.range:
      return { kind: 'range', answer: readRangeAnswer(reader) };
    case outcomeCode.refusedByStore:
      return { kind: 'failed', by: 'store', failure: readFailure(reader) };
    case outcomeCode.refusedByService:
      return { kind: 'failed', by: 'service', failure: readFailure(reader) };
    case outcomeCode.queried:
      return { kind: 'queried', revision: revision(reader.varint()), answer: readQueryAnswer(reader) };
    case outcomeCode.timeToLive:
    case outcomeCode.pastDeadline: {
      const at = revision(reader.varint());
      const remainingSeconds = code === outcomeCode.timeToLive ? reader.float() : null;
      const answer = readQueryAnswer(reader);
      if (answer.kind !== 'timeToLive') throw new MalformedBytesError(`the answer to a query of kind ${answer.kind}`);
      return { kind: 'timeToLive', revision: at, answer, remainingSeconds };
    }
    default:
      return { kind: 'written', outcome: readWritten(reader, code) };
  }
}

function readWritten(reader: BinaryReader, code: number): Written {
  const at = revision(reader.varint());
  switch (code) {
    case outcomeCode.put:
      return { kind: 'put', revision: at, answer: { previous: null } };
    case outcomeCode.putWithPrevious: {
      const previous: KeyValue = readPair(reader);
      return { kind: 'put', revision: at, answer: { previous } };
    }
    case outcomeCode.deleteRange:
      return { kind: 'deleteRange', revision: at, answer: readDeleted(reader) };
    case outcomeCode.txn:
      return { kind: 'txn', revision: at, answer: readTxnAnswer(reader, callNestedMax) };
    case outcomeCode.leaseGrant:
      return { kind: 'leaseGrant', revision: at, id: leaseId(reader.signed64()), ttlSeconds: reader.float() };
    case outcomeCode.compact:
      return { kind: 'compact', revision: at };
    case outcomeCode.done:
      return { kind: 'done', revision: at };
    case outcomeCode.appliedBefore:
      return { kind: 'appliedBefore', revision: at };
    default:
      throw new MalformedBytesError(`an outcome of kind ${code}`);
  }
}

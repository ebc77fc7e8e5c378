// What a session waits for, and what comes of it, in bytes. The forms are those of calls and their answers.

import { unreachable } from '../base/assert.ts';
import { BinaryReader, BinaryWriter, MalformedBytesError } from '../base/binary.ts';
import { leaseId } from '../model/brands.ts';
import type { Hold, SessionWait, WaitAnswer, WaitOutcome } from '../model/waits.ts';
import { answerCode, decodeAnswer, encodeAnswer, readHeader, writeHeader } from './answer-codec.ts';

const waitCode = { lock: 1, campaign: 2, acquire: 3 } as const satisfies Readonly<Record<SessionWait['kind'], number>>;
const holdCode = { session: 0, lease: 1 } as const satisfies Readonly<Record<Hold['kind'], number>>;
/** They follow the codes of what calls come to (`answer-codec.ts`). */
const outcomeCode = { locked: 15, elected: 16, acquired: 17 } as const;

type Granted = Exclude<WaitOutcome, { readonly kind: 'failed' }>;

export function writeWait(writer: BinaryWriter, wait: SessionWait): void {
  writer.byte(waitCode[wait.kind]);
  writer.bytes(wait.name);
  switch (wait.kind) {
    case 'lock':
      return writer.signed64(wait.lease);
    case 'campaign':
      writer.signed64(wait.lease);
      return writer.bytes(wait.value);
    case 'acquire':
      writer.varint(wait.limit);
      writer.varint(wait.waitMs);
      writer.byte(holdCode[wait.hold.kind]);
      if (wait.hold.kind === 'lease') writer.signed64(wait.hold.id);
      else writer.varint(wait.hold.ttlSeconds);
      return;
    default:
      unreachable(wait);
  }
}

/** Null: a wait of a kind that is not known. @throws MalformedBytesError */
export function readWait(reader: BinaryReader): SessionWait | null {
  const code = reader.byte();
  switch (code) {
    case waitCode.lock:
      return { kind: 'lock', name: reader.bytes(), lease: leaseId(reader.signed64()) };
    case waitCode.campaign:
      return {
        kind: 'campaign',
        name: reader.bytes(),
        lease: leaseId(reader.signed64()),
        value: reader.bytes(),
      };
    case waitCode.acquire:
      return {
        kind: 'acquire',
        name: reader.bytes(),
        limit: reader.varint(),
        waitMs: reader.varint(),
        hold: readHold(reader),
      };
    default:
      return null;
  }
}

function readHold(reader: BinaryReader): Hold {
  const code = reader.byte();
  if (code === holdCode.lease) return { kind: 'lease', id: leaseId(reader.signed64()) };
  if (code === holdCode.session) return { kind: 'session', ttlSeconds: reader.varint() };
  throw new MalformedBytesError(`a hold of kind ${code}`);
}

export function encodeWaitAnswer(answer: WaitAnswer): Uint8Array {
  if (answer.kind === 'notLeader') return encodeAnswer(answer);
  const { header, outcome } = answer;
  if (outcome.kind === 'failed') return encodeAnswer({ kind: 'answered', header, outcome });
  const writer = new BinaryWriter(128);
  writer.byte(answerCode.answered);
  writeHeader(writer, header);
  writer.byte(outcomeCode[outcome.kind]);
  writeGranted(writer, outcome);
  return writer.finish();
}

function writeGranted(writer: BinaryWriter, outcome: Granted): void {
  switch (outcome.kind) {
    case 'locked':
      writer.varint(outcome.locked.revision);
      return writer.bytes(outcome.locked.key);
    case 'elected':
      writer.varint(outcome.elected.revision);
      writer.bytes(outcome.elected.key);
      writer.varint(outcome.elected.createRevision);
      return writer.signed64(outcome.elected.lease);
    case 'acquired':
      writer.varint(outcome.acquired.revision);
      writer.bytes(outcome.acquired.key);
      writer.varint(outcome.acquired.fencingToken);
      writer.signed64(outcome.acquired.lease);
      return writer.float(outcome.acquired.ttlSeconds);
    default:
      unreachable(outcome);
  }
}

/** Null: the bytes are no answer to a wait. */
export function decodeWaitAnswer(bytes: Uint8Array): WaitAnswer | null {
  const granted = decodeGranted(bytes);
  if (granted !== null) return granted;
  const answer = decodeAnswer(bytes);
  if (answer === null || answer.kind === 'absent') return null;
  if (answer.kind === 'notLeader') return answer;
  const { header, outcome } = answer;
  return outcome.kind === 'failed' ? { kind: 'answered', header, outcome } : null;
}

function decodeGranted(bytes: Uint8Array): WaitAnswer | null {
  const reader = new BinaryReader(bytes);
  try {
    if (reader.byte() !== answerCode.answered) return null;
    const header = readHeader(reader);
    const outcome = readGranted(reader, reader.byte());
    if (outcome === null) return null;
    reader.end();
    return { kind: 'answered', header, outcome };
  } catch (error) {
    if (error instanceof MalformedBytesError) return null;
    throw error;
  }
}

function readGranted(reader: BinaryReader, code: number): Granted | null {
  switch (code) {
    case outcomeCode.locked: {
      const revision = reader.varint();
      return { kind: 'locked', locked: { key: reader.bytes(), revision } };
    }
    case outcomeCode.elected: {
      const revision = reader.varint();
      const elected = { key: reader.bytes(), createRevision: reader.varint(), lease: leaseId(reader.signed64()) };
      return { kind: 'elected', elected: { ...elected, revision } };
    }
    case outcomeCode.acquired: {
      const revision = reader.varint();
      const place = { key: reader.bytes(), fencingToken: reader.varint(), lease: leaseId(reader.signed64()) };
      return { kind: 'acquired', acquired: { ...place, ttlSeconds: reader.float(), revision } };
    }
    default:
      return null;
  }
}

/** What a wait takes of memory beside its head. */
export function waitBytes(wait: SessionWait): number {
  return wait.name.byteLength + (wait.kind === 'campaign' ? wait.value.byteLength : 0);
}

/** The message that a wait came in is not kept for the sake of a few of its bytes. */
export function ownWait(wait: SessionWait): SessionWait {
  const name = wait.name.slice();
  return wait.kind === 'campaign' ? { ...wait, name, value: wait.value.slice() } : { ...wait, name };
}

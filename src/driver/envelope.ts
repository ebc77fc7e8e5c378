// What replicas send each other: a version, the group's name, the messages of one turn, which all go from one replica
// to one other, and what the sender says of itself. An envelope of a version that this code does not know is refused,
// and never guessed at.

import { unreachable } from '../base/assert.ts';
import { BinaryReader, BinaryWriter } from '../base/binary.ts';
import { logIndex, type ReplicaId, replicaId, type Term, term } from '../model/brands.ts';
import type { Entry, EntryKind, Message } from '../raft/types.ts';
import { type PeerReport, readReport, writeReport } from './peer-report.ts';
import { isSnapshotKind, isSnapshotMessage, readSnapshotMessage, writeSnapshotMessage } from './snapshot-codec.ts';
import type { PeerMessage } from './snapshot-messages.ts';

export type { PeerMessage } from './snapshot-messages.ts';

export type Envelope = {
  readonly group: string;
  readonly messages: readonly PeerMessage[];
  /** Null: the sender's code is of level 1. */
  readonly report: PeerReport | null;
};

/**
 * Version 2 added snapshots, and replicas that were removed. An envelope that has none of them is still written as
 * version 1. Those messages go only to replicas that have said that they know them. The report stands behind the
 * messages, where code of version 1 does not look.
 */
const envelopeVersion = 2;
const firstVersion = 1;

/** The sender runs code that is newer than this one. */
class UnknownEnvelopeError extends Error {
  override readonly name = 'UnknownEnvelopeError';
}

// The position in these lists is the number on the wire, so a kind is only ever added at the end.
const messageKinds = [
  'preVote',
  'preVoteReply',
  'vote',
  'voteReply',
  'append',
  'appendReply',
  'heartbeat',
  'heartbeatReply',
  'timeoutNow',
  'readIndex',
  'readIndexReply',
  'rest',
  // Since version 2.
  'snapshot',
  'removed',
  'snapshotAsk',
  'snapshotPart',
  'snapshotGone',
  'diverged',
] as const satisfies readonly PeerMessage['kind'][];
const secondKinds: readonly PeerMessage['kind'][] = messageKinds.slice(messageKinds.indexOf('snapshot'));
const entryKinds: readonly EntryKind[] = ['noop', 'command', 'membership'];

export function encodeEnvelope({ group, messages, report }: Envelope): Uint8Array {
  const writer = new BinaryWriter();
  writer.byte(messages.some(needsSecondLevel) ? envelopeVersion : firstVersion);
  writer.text(group);
  writer.varint(messages.length);
  for (const message of messages) writePeerMessage(writer, message);
  if (report !== null) writeReport(writer, report);
  return writer.finish();
}

/** A message that a replica of level 1 does not know. */
export function needsSecondLevel({ kind }: PeerMessage): boolean {
  return secondKinds.includes(kind);
}

/**
 * Throws UnknownEnvelopeError if the sender's version or a kind of message is newer, and MalformedBytesError on other
 * bytes.
 */
export function decodeEnvelope(bytes: Uint8Array): Envelope {
  const reader = new BinaryReader(bytes);
  const version = reader.byte();
  if (version < firstVersion || version > envelopeVersion) {
    throw new UnknownEnvelopeError(`envelope version ${version}; this code reads up to ${envelopeVersion}`);
  }
  const group = reader.text();
  const messages: PeerMessage[] = [];
  for (let left = reader.varint(); left > 0; left--) messages.push(readPeerMessage(reader));
  const report = reader.remaining === 0 ? null : readReport(reader);
  return { group, messages, report };
}

function writePeerMessage(writer: BinaryWriter, message: PeerMessage): void {
  writer.byte(messageKinds.indexOf(message.kind));
  writer.varint(message.from);
  writer.varint(message.to);
  if (isSnapshotMessage(message)) return writeSnapshotMessage(writer, message);
  writer.varint(message.term);
  writeMessage(writer, message);
}

function writeMessage(writer: BinaryWriter, message: Message): void {
  switch (message.kind) {
    case 'preVote':
    case 'vote':
      writer.varint(message.lastLogIndex);
      writer.varint(message.lastLogTerm);
      return writer.boolean(message.urgent);
    case 'preVoteReply':
    case 'voteReply':
      return writer.boolean(message.granted);
    case 'append':
      writer.varint(message.previousIndex);
      writer.varint(message.previousTerm);
      writer.varint(message.commit);
      writer.varint(message.round);
      writer.varint(message.entries.length);
      for (const entry of message.entries) writeEntry(writer, entry);
      return;
    case 'appendReply':
      writer.varint(message.round);
      writer.boolean(message.accepted);
      if (message.accepted) return writer.varint(message.matchIndex);
      writer.varint(message.rejectedIndex);
      writer.varint(message.hintIndex);
      return writer.varint(message.hintTerm);
    case 'heartbeat':
      writer.varint(message.commit);
      return writer.varint(message.round);
    case 'heartbeatReply':
      return writer.varint(message.round);
    case 'timeoutNow':
      return;
    case 'readIndex':
      return writer.varint(message.context);
    case 'readIndexReply':
      writer.varint(message.context);
      // 0: the read is refused. No read waits for index 0, since it waits at least for the first entry of the leader.
      return writer.varint(message.index ?? 0);
    case 'rest':
      return writer.varint(message.commit);
    case 'snapshot':
      return writer.varint(message.base);
    case 'removed':
      writer.varint(message.members.length);
      for (const member of message.members) writer.varint(member);
      return;
    default:
      return unreachable(message);
  }
}

function readPeerMessage(reader: BinaryReader): PeerMessage {
  const kind = messageKinds[reader.byte()];
  if (kind === undefined) throw new UnknownEnvelopeError('a message of an unknown kind');
  const sides = { from: replicaId(reader.varint()), to: replicaId(reader.varint()) };
  if (isSnapshotKind(kind)) return readSnapshotMessage(reader, kind, sides);
  return readMessage(reader, kind, { ...sides, term: term(reader.varint()) });
}

function readMessage(
  reader: BinaryReader,
  kind: Message['kind'],
  head: { readonly from: ReplicaId; readonly to: ReplicaId; readonly term: Term },
): Message {
  switch (kind) {
    case 'preVote':
    case 'vote': {
      const lastLogIndex = logIndex(reader.varint());
      return { ...head, kind, lastLogIndex, lastLogTerm: term(reader.varint()), urgent: reader.boolean() };
    }
    case 'preVoteReply':
    case 'voteReply':
      return { ...head, kind, granted: reader.boolean() };
    case 'append': {
      const previousIndex = logIndex(reader.varint());
      const previousTerm = term(reader.varint());
      const commit = logIndex(reader.varint());
      const round = reader.varint();
      const entries: Entry[] = [];
      for (let left = reader.varint(); left > 0; left--) entries.push(readEntry(reader));
      return { ...head, kind, previousIndex, previousTerm, commit, round, entries };
    }
    case 'appendReply': {
      const round = reader.varint();
      if (reader.boolean()) return { ...head, kind, round, accepted: true, matchIndex: logIndex(reader.varint()) };
      const rejectedIndex = logIndex(reader.varint());
      const hintIndex = logIndex(reader.varint());
      return { ...head, kind, round, accepted: false, rejectedIndex, hintIndex, hintTerm: term(reader.varint()) };
    }
    case 'heartbeat': {
      const commit = logIndex(reader.varint());
      return { ...head, kind, commit, round: reader.varint() };
    }
    case 'heartbeatReply':
      return { ...head, kind, round: reader.varint() };
    case 'timeoutNow':
      return { ...head, kind };
    case 'readIndex':
      return { ...head, kind, context: reader.varint() };
    case 'readIndexReply': {
      const context = reader.varint();
      const index = reader.varint();
      return { ...head, kind, context, index: index === 0 ? null : logIndex(index) };
    }
    case 'rest':
      return { ...head, kind, commit: logIndex(reader.varint()) };
    case 'snapshot':
      return { ...head, kind, base: logIndex(reader.varint()) };
    case 'removed':
      return { ...head, kind, members: Array.from({ length: reader.count() }, () => replicaId(reader.varint())) };
    default:
      return unreachable(kind);
  }
}

function writeEntry(writer: BinaryWriter, entry: Entry): void {
  writer.varint(entry.index);
  writer.varint(entry.term);
  writer.byte(entryKinds.indexOf(entry.kind));
  writer.bytes(entry.data);
}

function readEntry(reader: BinaryReader): Entry {
  const index = logIndex(reader.varint());
  const entryTerm = term(reader.varint());
  const kind = entryKinds[reader.byte()];
  if (kind === undefined) throw new UnknownEnvelopeError('an entry of an unknown kind');
  return { index, term: entryTerm, kind, data: reader.bytes() };
}

// Planted bugs of the group: a replica says something else to other replicas than its code says.

import { logIndex, type ReplicaId } from '../../../src/model/brands.ts';
import { emptyBytes } from '../../../src/base/bytes.ts';
import { groupLevelMax } from '../../../src/model/levels.ts';
import type { Command } from '../../../src/model/store.ts';
import { decodeCommands } from '../../../src/mvcc/codec/command-codec.ts';
import type { Entry } from '../../../src/raft/types.ts';
import type { Envelope, PeerMessage } from '../../../src/driver/envelope.ts';
import type { PlantedBug } from './bugs.ts';
import { type Code, type FormerCode, levelKnownTo } from '../platform/code.ts';

/** What a bug knows of the replica that speaks. */
export type Speaker = {
  readonly id: ReplicaId;
  readonly voters: readonly ReplicaId[];
  /** The last entry of its log that a quorum of disks holds, of whatever term. */
  readonly heldByQuorum: () => number;
};

const twists: { readonly [Bug in PlantedBug]?: (message: PeerMessage, speaker: Speaker) => readonly PeerMessage[] } = {
  olderTermCommitted: (message, { heldByQuorum }) => {
    if (message.kind !== 'append') return [message];
    return [{ ...message, commit: logIndex(Math.max(message.commit, heldByQuorum())) }];
  },
  learnerCounted: (message, { id, voters }) => {
    if (message.kind !== 'appendReply' || voters.includes(id)) return [message];
    // The message goes out once more, as if a voter other than the leader had sent it.
    const other = voters.find((voter) => voter !== message.to);
    return other === undefined ? [message] : [message, { ...message, from: other }];
  },
  lossNotTold: (message, { id, voters }) => {
    if (message.kind !== 'appendReply' || message.accepted || voters.includes(id)) return [message];
    const { kind, from, to, term, round, rejectedIndex: matchIndex } = message;
    return [{ kind, from, to, term, round, accepted: true, matchIndex }];
  },
};

export function messagesWithBug(
  bug: PlantedBug | null,
  messages: readonly PeerMessage[],
  speaker: () => Speaker,
): readonly PeerMessage[] {
  const twist = bug === null ? undefined : twists[bug];
  return twist === undefined ? messages : messages.flatMap((message) => twist(message, speaker()));
}

/** The messages that are heard in place of this one. */
export function envelopeWithBug(bug: PlantedBug | null, envelope: Envelope, receiver: Code): Envelope {
  const { report } = envelope;
  if (bug === 'hashNotTold') return { ...envelope, report: report === null ? null : { ...report, hash: null } };
  if (bug === 'levelAssumed') return { ...envelope, report: { ...(report ?? silent), supports: groupLevelMax } };
  if (bug !== 'unknownEntrySkipped' || receiver === 'present') return envelope;
  return { ...envelope, messages: envelope.messages.map((message) => withoutUnknown(message, receiver)) };
}

const silent = { state: 'serving', hash: null, divergedAt: logIndex(0) } as const;

function withoutUnknown(message: PeerMessage, receiver: FormerCode): PeerMessage {
  if (message.kind !== 'append') return message;
  return { ...message, entries: message.entries.map((entry) => withoutCommands(entry, receiver)) };
}

function withoutCommands(entry: Entry, receiver: FormerCode): Entry {
  const isKnown = entry.kind !== 'command' || isKnownTo(receiver, entry.data);
  return isKnown ? entry : { ...entry, kind: 'noop', data: emptyBytes };
}

/** So far each level has brought a version of commands. */
function isKnownTo(code: FormerCode, data: Uint8Array): boolean {
  const level = levelKnownTo(code);
  const isOfLaterLevel = ({ operation }: Command): boolean =>
    operation.kind === 'groupLevel' && operation.level > level;
  return (data[0] ?? 0) <= level + 1 && !decodeCommands(data).some(isOfLaterLevel);
}

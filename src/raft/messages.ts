// What the kinds of messages have in common, and what is known of a message without the state of a replica.

import { unreachable } from '../base/assert.ts';
import type { ReplicaId, Term } from '../model/brands.ts';
import type { Message } from './types.ts';

export type MessageOf<Kind extends Message['kind']> = Message & { readonly kind: Kind };
/** The kinds whose term is the sender's, and on which a replica of another term does not act. */
export type TermMessage = Exclude<Message, { readonly kind: 'preVote' | 'preVoteReply' | 'removed' }>;
export type Envelope = { readonly from: ReplicaId; readonly to: ReplicaId; readonly term: Term };

/** Whether the message answers a question that was asked before, and so starts nothing. */
export function isReply(message: Message): boolean {
  switch (message.kind) {
    case 'appendReply':
    case 'heartbeatReply':
    case 'voteReply':
    case 'preVoteReply':
    case 'readIndexReply':
    case 'removed':
      return true;
    case 'append':
    case 'heartbeat':
    case 'preVote':
    case 'readIndex':
    case 'rest':
    case 'snapshot':
    case 'timeoutNow':
    case 'vote':
      return false;
    default:
      return unreachable(message);
  }
}

/**
 * The answer to a sender of an older term, which learns the term of the envelope: an old leader or candidate gives up.
 * The round is not echoed, because the sender may lead this very term when the answer comes, and would take it for an
 * answer to one of its new rounds.
 */
export function answerToStale(message: TermMessage, envelope: Envelope): Message | null {
  switch (message.kind) {
    case 'vote':
      return { ...envelope, kind: 'voteReply', granted: false };
    case 'append':
    case 'heartbeat':
    case 'rest':
    case 'snapshot':
      return { ...envelope, kind: 'heartbeatReply', round: 0 };
    case 'readIndex':
      return { ...envelope, kind: 'readIndexReply', context: message.context, index: null };
    case 'appendReply':
    case 'heartbeatReply':
    case 'readIndexReply':
    case 'timeoutNow':
    case 'voteReply':
      return null;
    default:
      return unreachable(message);
  }
}

// What the kinds of messages have in common, and what anyone may say of one without knowing a replica's state.

import { unreachable } from '../base/assert.ts';
import type { ReplicaId, Term } from '../model/brands.ts';
import type { Message } from './types.ts';

export type MessageOf<Kind extends Message['kind']> = Message & { readonly kind: Kind };
/** Kinds whose term is the sender's and that a replica of another term does not act upon. */
export type TermMessage = Exclude<Message, { readonly kind: 'preVote' | 'preVoteReply' | 'removed' }>;
export type Envelope = { readonly from: ReplicaId; readonly to: ReplicaId; readonly term: Term };

/** Answers a question that was asked before, so it starts nothing. */
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
 * To a sender of an older term. What it learns is the envelope's term: an old leader or candidate gives up. The round
 * is not echoed: the sender may lead this very term by the time the answer comes, and would take it for one of its new
 * rounds.
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

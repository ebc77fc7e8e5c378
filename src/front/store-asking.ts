// The attempts at one call by session, as the search for the replica that answers it makes them.

import type { Answer } from '../api/answer.ts';
import type { CallAttempt, SentAttempts } from '../api/sent-attempts.ts';
import { isSuspension } from '../api/suspended-answer.ts';
import type { CallAnswer } from '../model/calls.ts';
import { type Attempted, type GroupCall, type Told, toLeader } from '../routing/attempts.ts';
import { askOnce, attemptAnswer, type CallFrame } from '../routing/call-frame.ts';
import type { SessionCall, StoreSessions } from './store-sessions.ts';

export type StoreAskingOptions = {
  readonly frame: CallFrame;
  readonly call: SessionCall;
  /** null: any replica may answer. */
  readonly sent: SentAttempts | null;
  readonly sessions: StoreSessions;
};

type Attempt = CallAttempt & { readonly replica: number; readonly told: Told };

export class StoreAsking implements GroupCall<Answer> {
  readonly patience = 'hedged';
  readonly reader = null;
  readonly #options: StoreAskingOptions;
  /** By replica. A session has one answer for an id: who asks again while it is awaited waits for the same one. */
  readonly #underWay = new Map<number, Promise<Attempted<Answer>>>();
  readonly #cancels = new Set<() => void>();
  #hasLeft = false;
  #isRefused = false;
  #isSuspended = false;

  constructor(options: StoreAskingOptions) {
    this.#options = options;
  }

  /** A replica does not take the caller's handle, and began nothing. */
  get isRefused(): boolean {
    return this.#isRefused;
  }

  /** The tenant is suspended, and its objects are not to be woken again by this caller. */
  get isSuspended(): boolean {
    return this.#isSuspended;
  }

  readonly ask = (replica: number, told: Told, signal: AbortSignal | null): Promise<Attempted<Answer>> => {
    const awaited = this.#underWay.get(replica);
    if (awaited !== undefined) return awaited;
    if (this.#hasLeft) return Promise.resolve({ kind: 'left' });
    const { sent } = this.#options;
    const once = (attempt: CallAttempt): Promise<Attempted<Answer>> =>
      this.#once({ replica, told, ...attempt }, signal);
    const answer = sent === null ? once({ mayBeAlone: false, seen: undefined }) : askOnce(sent, once);
    this.#underWay.set(replica, answer);
    return answer;
  };

  /** Nobody waits for the answer any more. */
  cancel(): void {
    this.#hasLeft = true;
    for (const cancel of this.#cancels) cancel();
  }

  async #once({ replica, told, mayBeAlone, seen }: Attempt, signal: AbortSignal | null): Promise<Attempted<Answer>> {
    const { sessions, call, frame } = this.#options;
    const { failed, suspected } = told;
    const { reply, cancel } = sessions.ask(replica, call, { failed, suspected, mayBeAlone, seen });
    this.#cancels.add(cancel);
    signal?.addEventListener('abort', cancel);
    const said = await reply;
    this.#cancels.delete(cancel);
    this.#underWay.delete(replica);
    if (said.kind === 'failed') return this.#hasLeft ? { kind: 'left' } : said;
    this.#note(said);
    return attemptAnswer(frame, said, told === toLeader ? null : replica);
  }

  #note(answer: CallAnswer): void {
    if (answer.kind !== 'answered' || answer.outcome.kind !== 'failed') return;
    const { failure, by } = answer.outcome;
    this.#isSuspended ||= isSuspension(failure);
    const { refusedAs } = this.#options.call.caller;
    const isOfHandle = failure.kind === refusedAs || failure.kind === 'accessKeyMissing';
    this.#isRefused ||= by === 'service' && refusedAs !== null && isOfHandle;
  }
}

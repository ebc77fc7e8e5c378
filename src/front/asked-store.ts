// A call that goes to a store by session, whichever protocol it came in, and what its answer holds of the front's
// memory.

import type { Answer } from '../api/answer.ts';
import type { ServedBy } from '../api/endpoint.ts';
import { failureAnswer } from '../api/errors/errors.ts';
import { SentAttempts } from '../api/sent-attempts.ts';
import { memoryCountedBytesMin } from '../limits.ts';
import { type CallFrame, settled } from '../routing/call-frame.ts';
import { routeCall } from '../routing/group-route.ts';
import type { Asked } from './asked.ts';
import type { Known, KnownCallers } from './known-callers.ts';
import { StoreAsking } from './store-asking.ts';

export type AskedStoreOptions = {
  readonly frame: CallFrame;
  readonly known: Known;
  readonly callers: KnownCallers;
  readonly servedBy: ServedBy;
  /** Calls back once the client has read the answer, or has gone. */
  readonly untilRead: (release: () => void) => void;
};

export class AskedStore implements Asked {
  readonly counter = 'callsUnderWay';
  readonly #options: AskedStoreOptions;
  readonly #asking: StoreAsking;
  readonly #sent: SentAttempts | null;

  constructor(options: AskedStoreOptions) {
    this.#options = options;
    const { frame, known, callers, servedBy } = options;
    this.#sent = servedBy === 'leader' ? new SentAttempts(known.store.sessions.group.writesSeen) : null;
    const call = { id: callers.newId(), bytes: frame.bytes, caller: known.caller };
    this.#asking = new StoreAsking({ frame, call, sent: this.#sent, sessions: known.store.sessions });
  }

  async answer(): Promise<Answer | null> {
    const { frame, known, callers } = this.#options;
    const { routed } = await routeCall(known.store.sessions.group, this.#asking);
    this.#asking.cancel();
    const came = settled(routed, this.#sent);
    if (this.#asking.isSuspended) callers.forget(known);
    if (came.kind === 'absent') callers.leave(known.store);
    if (came.kind === 'done' && !this.#asking.isRefused) return this.#held(came.value);
    const mayBeDone = came.kind === 'unavailable' || this.#sent?.mayHaveBegun === true;
    return mayBeDone ? failureAnswer(frame.call.protocol, { kind: 'timeout' }) : null;
  }

  cancel(): void {
    this.#asking.cancel();
  }

  /** The answer counts until its client has read it. A write was done, and is answered however large that is. */
  #held(answer: Answer): Answer {
    const { frame, known, callers, untilRead } = this.#options;
    const bytes = answer.body?.length ?? 0;
    if (bytes < memoryCountedBytesMin) return answer;
    const memory = callers.reserveAnswer(known);
    untilRead(() => memory.release());
    const lacking = frame.writes ? null : memory.hold(bytes);
    if (frame.writes) memory.holdAlways(bytes);
    return lacking === null ? answer : failureAnswer(frame.call.protocol, { kind: 'memoryFull', of: lacking });
  }
}

// A call that waits for its turn in a queue by session, whichever protocol it came in.

import type { Answer } from '../../api/answer.ts';
import { failureAnswer, isRefusedAlone } from '../../api/errors/errors.ts';
import { isSuspension } from '../../api/suspended-answer.ts';
import { respondWait, type WaitCall } from '../../api/wait-call.ts';
import { unreachable } from '../../base/assert.ts';
import type { WaitOutcome } from '../../model/waits.ts';
import type { OpenWait } from '../../session/client-port.ts';
import type { Asked } from '../asked.ts';
import type { Known, KnownCallers } from '../known-callers.ts';
import type { MovedWaitEnd } from './moving-wait.ts';

export type AskedWaitOptions = { readonly waiting: WaitCall; readonly known: Known; readonly callers: KnownCallers };

export class AskedWait implements Asked {
  readonly counter = 'waitsUnderWay';
  readonly #options: AskedWaitOptions;
  #wait: OpenWait | null = null;
  #settle: (end: MovedWaitEnd) => void = () => undefined;

  constructor(options: AskedWaitOptions) {
    this.#options = options;
  }

  async answer(): Promise<Answer | null> {
    const { waiting, known, callers } = this.#options;
    const { store, caller } = known;
    const wanted = { id: callers.newId(), wait: waiting.wait, caller };
    const end = await new Promise<MovedWaitEnd>((resolve) => {
      this.#settle = resolve;
      this.#wait = store.sessions.wait(wanted, resolve);
    });
    return this.#answerTo(end);
  }

  /** The place is given up. */
  cancel(): void {
    this.#wait?.leave();
    this.#settle({ kind: 'closed' });
  }

  #answerTo(end: MovedWaitEnd): Answer | null {
    const { waiting, known, callers } = this.#options;
    const { call } = waiting;
    const late = (): Answer => failureAnswer(call.protocol, { kind: 'timeout' });
    switch (end.kind) {
      case 'answered': {
        this.#note(end.outcome);
        if (this.#isRefusal(end.outcome)) return null;
        const answer = respondWait(call, end.outcome, end.header);
        return end.mayHaveBegun && isRefusedAlone(answer) ? late() : answer;
      }
      case 'absent':
        callers.leave(known.store);
        return null;
      case 'unavailable':
        return late();
      case 'closed':
        return null;
      default:
        return unreachable(end);
    }
  }

  /** The tenant is suspended, and its objects are not to be woken again by this caller. */
  #note(outcome: WaitOutcome): void {
    const { callers, known } = this.#options;
    if (outcome.kind === 'failed' && isSuspension(outcome.failure)) callers.forget(known);
  }

  /** A replica does not take the caller's handle. It took no place in its name. */
  #isRefusal(outcome: WaitOutcome): boolean {
    if (outcome.kind !== 'failed' || outcome.by !== 'service') return false;
    const { refusedAs } = this.#options.known.caller;
    return refusedAs !== null && (outcome.failure.kind === refusedAs || outcome.failure.kind === 'accessKeyMissing');
  }
}

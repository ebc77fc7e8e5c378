// When what is said on a session leaves. A message costs each end about as much as a call, and the writes of a message
// share a log entry and the sending of its events. So calls share messages, and wait for one another while the replica
// is behind.

import { attemptHedgeMs } from '../limits.ts';

/** A lone call leaves at once. A call among others waits for those that the next turns of the event loop bring. */
const turnsAmongOthers = 2;
/** A replica that answers sooner is not behind. */
const behindMs = 32;
/** How much one answer changes what is known of the time that answers take. */
const newPart = 1 / 8;
/** How many messages a replica that is behind is given to read: one, and the next. */
const unreadMessagesMax = 2;
/** The part of the time of an answer for which a call waits at most. The others may be calls that take long. */
const waitPart = 1 / 2;

type Held = { readonly task: () => void; readonly timer: NodeJS.Timeout };

export class SessionPace {
  #answerMs = 0;
  /** The message with calls that is being gathered. Those before it were sent. */
  #message = 1;
  #hasCalls = false;
  /** The replica reads messages in their order: an answer to a call of one says that it has read those before. */
  #lastRead = 0;
  #held: Held | null = null;

  /** A call is said now. Returns the number of the message that it goes with. */
  called(): number {
    this.#hasCalls = true;
    return this.#message;
  }

  /** `tookMs` null: the call was not answered, and nobody waits for it any more. */
  answered(message: number, tookMs: number | null): void {
    if (tookMs !== null) this.#answerMs += (tookMs - this.#answerMs) * newPart;
    this.#lastRead = Math.max(this.#lastRead, Math.min(message, this.#message - 1));
    const held = this.#held;
    if (held === null || this.#waitsForReplica) return;
    clearTimeout(held.timer);
    this.#held = null;
    afterTurns(turnsAmongOthers, held.task);
  }

  /** Runs the task when what was said is to leave. One task waits at a time. */
  wait(callsUnderWay: number, send: () => void): void {
    const task = (): void => {
      if (this.#hasCalls) this.#message++;
      this.#hasCalls = false;
      send();
    };
    if (callsUnderWay <= 1) return afterTurns(0, task);
    if (!this.#waitsForReplica) return afterTurns(turnsAmongOthers, task);
    const timer = setTimeout(
      () => {
        this.#held = null;
        task();
      },
      Math.ceil(Math.min(this.#answerMs * waitPart, attemptHedgeMs)),
    );
    this.#held = { task, timer };
  }

  get #waitsForReplica(): boolean {
    return this.#answerMs >= behindMs && this.#message - 1 - this.#lastRead >= unreadMessagesMax;
  }
}

function afterTurns(turns: number, task: () => void): void {
  setImmediate(turns === 0 ? task : () => afterTurns(turns - 1, task));
}

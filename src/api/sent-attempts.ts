// What the sender of a write knows of the attempts that it made to deliver it. A replica may refuse one of them by what
// its caller may do at that moment, and nothing of that is kept (`Write.mayBeAlone`): it is the answer to the call only
// where no other attempt can be done later.

import type { AttemptAnswer } from './redirects.ts';

/** `mayBeAlone`: it may be refused alone. */
export type SentAttempt = { readonly mayBeAlone: boolean };

/** What came of a call that was answered: its status tells a refusal. */
type Answered = { readonly status: number };

export type AttemptEnd =
  /** It was not begun: another replica is to be asked, or this one had no room. */
  | 'nothing'
  /** It may have been done, or may yet be. */
  | 'unknown'
  /** It was refused, for this attempt alone if it might be. */
  | 'refused'
  | 'done';

export class SentAttempts {
  #underWay = 0;
  /** One was done, or nobody knows whether it was. */
  #isLost = false;
  /** One was refused while others were under way: the next one is decided in the log, whatever becomes of those. */
  #isUnclear = false;

  /** Some attempt that was not answered may have begun the write, or may yet. */
  get mayHaveBegun(): boolean {
    return this.#isLost || this.#underWay > 0;
  }

  begin(): SentAttempt {
    this.#underWay++;
    return { mayBeAlone: !this.#isLost && !this.#isUnclear };
  }

  /** False: it was refused, another attempt may be done all the same, and one more has to be made. */
  ended({ mayBeAlone }: SentAttempt, end: AttemptEnd): boolean {
    this.#underWay--;
    // The answer to one that was done may come after its sender has turned to another attempt.
    if (end === 'unknown' || end === 'done') this.#isLost = true;
    if (end !== 'refused' || !mayBeAlone || !this.mayHaveBegun) return true;
    this.#isUnclear = true;
    return false;
  }

  /** What came of it, for whoever looks for the replica that answers. */
  answered<Value extends Answered>(attempt: SentAttempt, came: AttemptAnswer<Value>): AttemptAnswer<Value> {
    return this.ended(attempt, endOf(came)) ? came : { kind: 'redirect', leader: 0, members: [] };
  }
}

/** Who names another leader has begun nothing; a leader that has lost its place does not know. */
function endOf(came: AttemptAnswer<Answered>): AttemptEnd {
  if (came.kind === 'redirect') return came.leader === 0 ? 'unknown' : 'nothing';
  if (came.kind === 'absent') return 'nothing';
  return came.value.status >= 400 ? 'refused' : 'done';
}

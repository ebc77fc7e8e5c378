// What the sender of a write knows of the attempts that it made to deliver it. A replica may refuse one of them by what
// its caller may do at that moment, and nothing of that is kept (`Write.mayBeAlone`): it is the answer to the call only
// where no other attempt can be done later.
//
// Each attempt says how many writes of the group its sender had been told of before it sent the first one. A group that
// may have forgotten the write since does not do it. It does no attempt either whose sender was told of no count, and
// tells it instead. Where no attempt that had a count can have been done, the sender goes on with the count that it is
// told, under the same id: so who was away for long loses a round trip, and not its write.

import type { AttemptAnswer } from './redirects.ts';

/** `mayBeAlone`: it may be refused alone. `seen`: the writes that its sender had seen; null: it was told no count. */
export type SentAttempt = { readonly mayBeAlone: boolean; readonly seen: number | null };

/** What is said with an attempt at any call. `seen` undefined: the call is no write. */
export type CallAttempt = { readonly mayBeAlone: boolean; readonly seen: number | null | undefined };

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

/** How often a call goes on with another count. A second time is for who was told of one that was soon old, too. */
const renewalsMax = 2;

export class SentAttempts {
  #seen: number | null;
  #renewals = 0;
  #underWay = 0;
  /** One was done, or nobody knows whether it was. */
  #isLost = false;
  /** Of attempts that had a count, as the two above: groups do no others that could tell of a count. */
  #countedUnderWay = 0;
  #isCountedLost = false;
  /** One was refused while others were under way: the next one is decided in the log, whatever becomes of those. */
  #isUnclear = false;

  /** `seen`: how many writes the sender was told of. Null: it was told of no count yet. */
  constructor(seen: number | null = null) {
    this.#seen = seen;
  }

  /** Some attempt that was not answered may have begun the write, or may yet. */
  get mayHaveBegun(): boolean {
    return this.#isLost || this.#underWay > 0;
  }

  begin(): SentAttempt {
    const seen = this.#seen;
    this.#underWay++;
    if (seen !== null) this.#countedUnderWay++;
    return { mayBeAlone: !this.#isLost && !this.#isUnclear, seen };
  }

  /**
   * The group has not done an attempt that has ended, and told how many writes there were. True: nobody has done
   * another one, so the sender makes one with this count.
   */
  mayRenew(writes: number): boolean {
    if (this.#countedUnderWay > 0 || this.#isCountedLost || this.#renewals === renewalsMax) return false;
    this.#renewals++;
    this.#seen = writes;
    return true;
  }

  /** False: it was refused, another attempt may be done all the same, and one more has to be made. */
  ended({ mayBeAlone, seen }: SentAttempt, end: AttemptEnd): boolean {
    this.#underWay--;
    if (seen !== null) this.#countedUnderWay--;
    if (seen !== null && (end === 'unknown' || end === 'done')) this.#isCountedLost = true;
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

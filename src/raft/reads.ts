// Linearizable reads without the log (§6.4). `ReadRounds`: on a leader, reads wait for a round in which a quorum shows
// that it still follows; all reads that wait share one round. `LocalReads`: the reads that this replica's host asked
// for, and their outcomes. Each context comes out exactly once, served or refused.

import { type LogIndex, type ReplicaId } from '../model/brands.ts';
import { readsPendingMax } from '../limits.ts';

export type Read = { readonly from: ReplicaId; readonly context: number };
type Round = { readonly round: number; readonly index: LogIndex; readonly reads: readonly Read[] };

export class ReadRounds {
  #waiting: Read[] = [];
  readonly #underWay: Round[] = [];
  #count = 0;

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /**
   * Whether reads wait, and no round is under way that they must let pass because its messages left before the reads
   * came.
   */
  get wantsRound(): boolean {
    return this.#waiting.length > 0 && this.#underWay.length === 0;
  }

  /** False: too many wait already. */
  add(read: Read): boolean {
    if (this.#count >= readsPendingMax) return false;
    this.#count += 1;
    this.#waiting.push(read);
    return true;
  }

  /**
   * A new round goes out, which all reads that wait share. `index` is the present commit index, which no earlier reply
   * can exceed.
   */
  start(round: number, index: LogIndex): void {
    if (this.#waiting.length === 0) return;
    this.#underWay.push({ round, index, reads: this.#waiting });
    this.#waiting = [];
  }

  /** A quorum answered `round`. Takes out the rounds up to it. */
  confirm(round: number): Round[] {
    const confirmed: Round[] = [];
    for (let first = this.#underWay[0]; first !== undefined && first.round <= round; first = this.#underWay[0]) {
      this.#underWay.shift();
      this.#count -= first.reads.length;
      confirmed.push(first);
    }
    return confirmed;
  }

  /** The leadership ends. Takes out all reads. */
  drain(): Read[] {
    const reads = [...this.#underWay.flatMap((round) => round.reads), ...this.#waiting];
    this.#underWay.length = 0;
    this.#waiting = [];
    this.#count = 0;
    return reads;
  }
}

type Asked = { readonly contexts: readonly number[]; readonly sinceTick: number };
const noContexts: readonly number[] = [];
type Confirmed = { readonly context: number; readonly index: LogIndex; readonly sinceTick: number };

export class LocalReads {
  /** The reads that are to be asked of the leader with the next effects, all by one message. */
  #unasked: number[] = [];
  readonly #asked = new Map<number, Asked>();
  /** The reads whose index is known; it may not be applied here yet. */
  #confirmed: Confirmed[] = [];
  #refused: number[] = [];
  #count = 0;
  #question: number;
  #askedTick = 0;

  /**
   * Questions are numbered from `firstQuestion` on. A replica that restarts must not take an answer to its former
   * instance for an answer to itself, so the first number is random.
   */
  constructor(firstQuestion: number) {
    this.#question = firstQuestion;
  }

  get hasUnasked(): boolean {
    return this.#unasked.length > 0;
  }

  /** The number of reads that the leader has not answered, or whose index is not applied here. */
  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Whether `take` would hand out something. */
  hasSettled(applied: LogIndex): boolean {
    return this.#refused.length > 0 || this.#confirmed.some((read) => read.index <= applied);
  }

  ask(context: number): void {
    if (this.#count >= readsPendingMax) {
      this.#refused.push(context);
      return;
    }
    this.#count += 1;
    this.#unasked.push(context);
  }

  /** The number of the question that asks for all unasked reads. */
  takeQuestion(tick: number): number {
    this.#question += 1;
    this.#askedTick = tick;
    this.#asked.set(this.#question, { contexts: this.#unasked, sinceTick: tick });
    this.#unasked = [];
    return this.#question;
  }

  /**
   * A question or its answer may be lost. Null: none has waited since `tick`. Otherwise the number of one more
   * question, for all reads that were asked before.
   */
  askAgain(tick: number, nowTick: number): number | null {
    if (this.#asked.size === 0 || this.#askedTick > tick) return null;
    if (![...this.#asked.values()].some(({ contexts }) => contexts.length > 0)) return null;
    this.#question += 1;
    this.#askedTick = nowTick;
    this.#asked.set(this.#question, { contexts: noContexts, sinceTick: nowTick });
    return this.#question;
  }

  /**
   * The leader's answer. Null: it refuses. Unknown questions were given up before, or were asked by the former instance
   * of this replica. An index that was confirmed after a question is good for the questions before it, too.
   */
  answer(question: number, index: LogIndex | null, tick: number): void {
    if (!this.#asked.has(question)) return;
    for (const [earlier, { contexts }] of this.#asked) {
      if (earlier > question) break;
      if (earlier !== question && index === null) continue;
      this.#asked.delete(earlier);
      this.#count -= contexts.length;
      for (const context of contexts) {
        if (index === null) this.#refused.push(context);
        else this.confirm(context, index, tick);
      }
    }
  }

  confirm(context: number, index: LogIndex, tick: number): void {
    this.#count += 1;
    this.#confirmed.push({ context, index, sinceTick: tick });
  }

  refuse(context: number): void {
    this.#refused.push(context);
  }

  /** The leader changed, so the questions to the former leader, and those not asked yet, are lost. */
  leaderLost(): void {
    for (const context of this.#unasked) this.#giveUp(context);
    this.#unasked = [];
    for (const asked of this.#asked.values()) for (const context of asked.contexts) this.#giveUp(context);
    this.#asked.clear();
  }

  /** Gives up the reads that have waited since `tick` or longer. */
  expire(tick: number): void {
    if (this.#count === 0) return;
    for (const [question, asked] of this.#asked) {
      if (asked.sinceTick > tick) continue;
      this.#asked.delete(question);
      for (const context of asked.contexts) this.#giveUp(context);
    }
    const late = this.#confirmed.filter((read) => read.sinceTick <= tick);
    if (late.length === 0) return;
    for (const read of late) this.#giveUp(read.context);
    this.#confirmed = this.#confirmed.filter((read) => read.sinceTick > tick);
  }

  /** The reads whose index is applied. */
  takeServed(applied: LogIndex): readonly { readonly context: number; readonly index: LogIndex }[] {
    if (this.#confirmed.length === 0) return [];
    const served: Confirmed[] = [];
    const later: Confirmed[] = [];
    for (const read of this.#confirmed) (read.index <= applied ? served : later).push(read);
    this.#confirmed = later;
    this.#count -= served.length;
    return served.map(({ context, index }) => ({ context, index }));
  }

  takeRefused(): readonly number[] {
    const refused = this.#refused;
    if (refused.length > 0) this.#refused = [];
    return refused;
  }

  #giveUp(context: number): void {
    this.#count -= 1;
    this.#refused.push(context);
  }
}

// A wait by session that outlives its leader: where the connection breaks, or the replica does not lead any more, it
// goes on at the next leader under the same id, which finds the same place. A client that has left gives its place up
// there, too. It is pure.

import { attemptLongMs, requestTimeoutMs, sessionWaitGraceMs } from '../../limits.ts';
import type { WaitAnswer } from '../../model/waits.ts';
import type { KnownGroup } from '../../routing/known-group.ts';
import { attemptPauseMs } from '../../routing/search.ts';
import type { OpenWait, WaitOptions, WaitSink } from '../../session/client-port.ts';

export type WaitAttempt = Pick<WaitOptions, 'suspectedLeader' | 'mayBeAlone'>;

export type MovingWaitPort = {
  /** Declares the wait at a replica, by the same id each time. */
  readonly waitAt: (replica: number, attempt: WaitAttempt, sink: WaitSink) => OpenWait;
  /** Whether what is said to the replica leaves at once. */
  readonly isOpen: (replica: number) => boolean;
  /** The gateway says that the replica does not exist. */
  readonly isAbsent: (replica: number) => boolean;
  readonly group: Pick<KnownGroup, 'leader' | 'candidates' | 'next' | 'told'>;
  readonly nowMs: () => number;
  /** The function that this returns takes the task back. */
  readonly later: (delayMs: number, task: () => void) => () => void;
};

export type MovedWaitEnd =
  /** `mayHaveBegun`: an attempt before the one that was answered may have taken a place. */
  | (Extract<WaitAnswer, { readonly kind: 'answered' }> & { readonly mayHaveBegun: boolean })
  /** No replica of the group exists. */
  | { readonly kind: 'absent' }
  /** No leader was found in time. */
  | { readonly kind: 'unavailable' }
  /** The sessions were closed. */
  | { readonly kind: 'closed' };

export class MovingWait implements OpenWait {
  readonly #port: MovingWaitPort;
  /** Null: the client has left, and the place is still to be given up. */
  #ended: ((end: MovedWaitEnd) => void) | null;
  readonly #over: () => void;
  #replica: number;
  #wait: OpenWait | null = null;
  #cancelTask: () => void = () => undefined;
  readonly #absent = new Set<number>();
  /** Since the search for a leader began. */
  #attempts = 0;
  #deadlineMs: number;
  #attemptMs = 0;
  #suspected = 0;
  /** An attempt before the present one may have taken a place. */
  #hasMoved = false;
  #isOver = false;

  /** `ended` is called once, unless the wait was left. `over`: nothing is asked any more. */
  constructor(port: MovingWaitPort, ended: (end: MovedWaitEnd) => void, over: () => void) {
    this.#port = port;
    this.#ended = ended;
    this.#over = over;
    this.#replica = port.group.leader;
    this.#deadlineMs = port.nowMs() + requestTimeoutMs;
    this.#begin();
  }

  /**
   * The place is given up: at once, or where the wait is between two leaders, once there is one. A place that nobody
   * gives up within `sessionWaitGraceMs` stays until its lease ends.
   */
  readonly leave = (): void => {
    if (this.#isOver || this.#ended === null) return;
    this.#ended = null;
    if (!this.#hasMoved && this.#leaveHere()) return;
    this.#deadlineMs = this.#port.nowMs() + sessionWaitGraceMs;
    if (this.#wait !== null) this.#leaveSoon();
  };

  /** The sessions are closed. */
  readonly close = (): void => this.#end({ kind: 'closed' });

  #begin(): void {
    const replica = this.#replica;
    this.#attemptMs = this.#port.nowMs();
    this.#attempts++;
    let isThis = true;
    const once = (task: () => void): void => {
      if (isThis && !this.#isOver) task();
      isThis = false;
    };
    const attempt = { suspectedLeader: this.#suspected, mayBeAlone: !this.#hasMoved };
    const wait = this.#port.waitAt(replica, attempt, {
      settled: (answer) => once(() => this.#settled(answer)),
      interrupted: () => once(() => this.#interrupted()),
    });
    // It may be over by now.
    if (!isThis) return;
    this.#wait = wait;
    if (this.#ended === null) this.#leaveSoon();
  }

  #settled(answer: WaitAnswer): void {
    const wait = this.#wait;
    this.#wait = null;
    this.#cancelTask();
    if (answer.kind === 'answered') {
      // Its turn came after its client had left.
      if (this.#ended === null && answer.outcome.kind !== 'failed') wait?.leave();
      return this.#end({ ...answer, mayHaveBegun: this.#hasMoved });
    }
    const { group, nowMs } = this.#port;
    group.told(answer.members, nowMs());
    this.#absent.clear();
    if (answer.leader !== 0 && answer.leader !== this.#replica) return this.#goTo(answer.leader, 0);
    this.#goTo(group.next(this.#replica), this.#suspected);
  }

  #interrupted(): void {
    const { group, isAbsent } = this.#port;
    // There is no connection, so this only makes an end of it here.
    this.#wait?.leave();
    this.#wait = null;
    this.#cancelTask();
    const replica = this.#replica;
    if (isAbsent(replica)) this.#absent.add(replica);
    if (group.candidates.every((candidate) => this.#absent.has(candidate))) return this.#end({ kind: 'absent' });
    const { leader } = group;
    this.#goTo(leader === replica || this.#absent.has(leader) ? this.#after(replica) : leader, replica);
  }

  /** The next replica that exists, as far as is known. */
  #after(replica: number): number {
    const { group } = this.#port;
    let next = group.next(replica);
    for (const _ of group.candidates) if (this.#absent.has(next)) next = group.next(next);
    return next;
  }

  /** A replica that kept the wait for long was serving it, so the time for finding another one begins anew. */
  #goTo(replica: number, suspected: number): void {
    const nowMs = this.#port.nowMs();
    if (nowMs - this.#attemptMs >= attemptLongMs && this.#ended !== null) {
      this.#deadlineMs = nowMs + requestTimeoutMs;
      this.#attempts = 0;
    }
    if (nowMs >= this.#deadlineMs) return this.#end({ kind: 'unavailable' });
    this.#replica = replica;
    this.#suspected = suspected;
    this.#hasMoved = true;
    const delayMs = attemptPauseMs(this.#attempts);
    if (delayMs === 0) return this.#begin();
    this.#cancelTask = this.#port.later(delayMs, () => this.#begin());
  }

  /** A replica that does not lead says so before this. */
  #leaveSoon(): void {
    this.#cancelTask();
    const servedMs = this.#port.nowMs() - this.#attemptMs;
    this.#cancelTask = this.#port.later(Math.max(0, attemptLongMs - servedMs), () => {
      // Without a connection the wait is interrupted, sooner or later.
      this.#leaveHere();
    });
  }

  /** False: there is no replica to which this can be said now. */
  #leaveHere(): boolean {
    const wait = this.#wait;
    if (wait === null || !this.#port.isOpen(this.#replica)) return false;
    wait.leave();
    this.#end({ kind: 'closed' });
    return true;
  }

  #end(end: MovedWaitEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancelTask();
    this.#wait = null;
    this.#over();
    this.#ended?.(end);
  }
}

// Calls that wait for their turn: what can end a wait, and which leases live on meanwhile. A call waits only at the
// leader, so that the loss of the leader is noticed. The call is then sent to the next leader, where the same write id
// finds the same place. A wait holds memory and, if it is bounded, a timer. The group may rest meanwhile.

import type { LeaseId } from '../../model/brands.ts';
import type { Caller, RevisionEvents } from '../../model/store.ts';
import { PlaceClaims } from './place-claims.ts';
import { LockQueues, type News, type Place, type QueuesOptions } from './lock-queues.ts';
import type { OpenCall, OpenCalls } from '../open-calls.ts';

export type WaitsOptions = QueuesOptions & { readonly open: Pick<OpenCalls, 'refusal' | 'add' | 'delete'> };

export type WaitOptions = {
  readonly place: Place;
  readonly caller: Caller;
  /** null: the wait is not bounded. */
  readonly timeoutMs: number | null;
  /** Aborts when the caller goes away. */
  readonly gone: AbortSignal | null;
  /** A lease that lives on while its caller waits. */
  readonly kept: LeaseId | null;
  /** The wait also ends when its own place goes. */
  readonly untilLost: boolean;
};

export type WaitEnd =
  | News
  | 'timeout'
  | 'gone'
  /** This replica no longer leads. */
  | 'moved'
  /** No more calls may wait here, or no more calls of this key. */
  | 'full'
  /** The caller's key was revoked or has expired. */
  | 'keyEnded';

/** The longest time that a timer can hold: 24 days. */
const timerMsMax = 2_147_483_647;

export class LockWaits {
  readonly claims = new PlaceClaims();
  readonly #queues: LockQueues;
  readonly #open: WaitsOptions['open'];
  readonly #ends = new Set<(end: WaitEnd) => void>();
  /** The number of callers that wait with each lease. */
  readonly #kept = new Map<LeaseId, number>();

  constructor(options: WaitsOptions) {
    this.#queues = new LockQueues(options);
    this.#open = options.open;
  }

  get count(): number {
    return this.#queues.count;
  }

  get kept(): Iterable<LeaseId> {
    return this.#kept.keys();
  }

  wait({ place, caller, timeoutMs, gone, kept, untilLost }: WaitOptions): Promise<WaitEnd> {
    if (gone?.aborted === true) return Promise.resolve('gone');
    if (this.#open.refusal('wait', caller) !== null) return Promise.resolve('full');
    return new Promise((resolve) => {
      let timer: ReturnType<typeof setTimeout> | null = null;
      const end = (reason: WaitEnd): void => {
        if (!this.#ends.delete(end)) return;
        this.#queues.leave(waiter);
        this.#open.delete(open);
        if (kept !== null) this.#release(kept);
        if (timer !== null) clearTimeout(timer);
        gone?.removeEventListener('abort', leave);
        resolve(reason);
      };
      const leave = (): void => end('gone');
      const open: OpenCall = { kind: 'wait', caller, end: () => end('keyEnded'), probe: null };
      const waiter = { place, untilLost, told: end };
      if (!this.#queues.join(waiter)) return resolve('turn');
      this.#ends.add(end);
      this.#open.add(open);
      if (kept !== null) this.#keep(kept);
      if (timeoutMs !== null) timer = setTimeout(() => end('timeout'), Math.min(timeoutMs, timerMsMax));
      gone?.addEventListener('abort', leave);
    });
  }

  /** What was just applied; null: very many keys were deleted. */
  published(events: readonly RevisionEvents[] | null): void {
    this.#queues.published(events);
  }

  /** This replica does not lead: all waits end here, and their calls go to the next leader. */
  moved(): void {
    for (const end of this.#ends) end('moved');
  }

  #keep(lease: LeaseId): void {
    this.#kept.set(lease, (this.#kept.get(lease) ?? 0) + 1);
  }

  #release(lease: LeaseId): void {
    const others = (this.#kept.get(lease) ?? 1) - 1;
    if (others > 0) this.#kept.set(lease, others);
    else this.#kept.delete(lease);
  }
}

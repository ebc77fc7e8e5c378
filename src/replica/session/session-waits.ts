// The waits of sessions at a replica. A wait outlives the connection that it was declared on for a while, so that its
// client finds its place when it comes back; who does not come back leaves it. No I/O and no clock: the timer and what
// serves a wait come with the options.

import { ownerText } from '../../api/caller-text.ts';
import type { Reservation } from '../../base/memory-budget.ts';
import {
  lockWaitersMax,
  openKeyShare,
  sessionWaitAwakeMs,
  sessionWaitGraceMs,
  sessionWaitOverheadBytes,
} from '../../limits.ts';
import type { FailureData, ResponseHeader } from '../../model/calls.ts';
import type { Caller } from '../../model/store.ts';
import type { SessionWait, WaitAnswer } from '../../model/waits.ts';
import { waitBytes } from '../../session/wait-codec.ts';
import type { ServedWait, WaitFacts } from '../../session/wait-server.ts';
import type { WaitEnd } from '../lock/lock-session.ts';

export type ReplicaWaitFacts = WaitFacts & {
  /** Names the session on this replica. */
  readonly session: string;
};

export type ReplicaWaitsOptions = {
  /** Serves a wait until it ends. `gone` aborts when nobody waits any more. */
  readonly serve: (wait: SessionWait, facts: ReplicaWaitFacts & { readonly gone: AbortSignal }) => Promise<WaitEnd>;
  /** The share of the isolate's memory that a wait of this caller holds while its client is away. */
  readonly memory: (caller: Caller) => Pick<Reservation, 'hold' | 'release'>;
  /** Runs a task once, unless the function that is returned is called before. */
  readonly later: (task: () => void, delayMs: number) => () => void;
  readonly header: () => ResponseHeader;
  readonly broken: (error: unknown) => void;
};

type Settle = (answer: WaitAnswer) => void;
type Wait = {
  readonly name: string;
  readonly owner: string;
  readonly gone: AbortController;
  /** The object stays awake, because it keeps the lease of this wait alive. */
  readonly keepsAwake: boolean;
  /** Null: the client is away. */
  settle: Settle | null;
  /** What holds it until then. Null: the session of its client counts what it takes of memory. */
  grace: { readonly cancel: () => void; readonly memory: Pick<Reservation, 'release'> } | null;
  /** What came of the wait. */
  end: WaitEnd | null;
  /** Who was told of it. Null: nobody was. */
  told: Settle | null;
};

/** Waits of one access key, with those whose clients are away. */
const ofOwnerMax = Math.floor(lockWaitersMax * openKeyShare);

export class ReplicaWaits {
  readonly #options: ReplicaWaitsOptions;
  readonly #waits = new Map<string, Wait>();
  readonly #ofOwner = new Map<string, number>();
  #isAwake = false;

  constructor(options: ReplicaWaitsOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#waits.size;
  }

  readonly begin = (wanted: SessionWait, facts: ReplicaWaitFacts, settle: Settle): ServedWait => {
    const owner = ownerText(facts.caller);
    const name = `${facts.writeId} ${owner}`;
    let wait = this.#waits.get(name);
    if (wait === undefined) {
      const failure = this.#refusal(owner);
      if (failure !== null) {
        const outcome = { kind: 'failed', by: 'service', failure } as const;
        settle({ kind: 'answered', header: this.#options.header(), outcome });
        return { leave: () => undefined, detach: () => undefined };
      }
      const keepsAwake = wanted.kind === 'acquire' && wanted.hold.kind === 'session';
      wait = { name, owner, gone: new AbortController(), keepsAwake, settle, grace: null, end: null, told: null };
      this.#add(wait);
      this.#serve(wait, wanted, facts);
    } else {
      // Of two connections of one client the later one is told.
      endGrace(wait);
      wait.settle = settle;
      if (wait.end !== null) this.#tell(wait, wait.end);
    }
    const own = wait;
    return {
      leave: () => {
        if (own.settle === settle) this.#leave(own);
        // What it was told crossed what it said.
        if (own.told === settle && own.end !== null) {
          own.told = null;
          this.#giveUp(own.end);
        }
      },
      detach: () => {
        if (own.settle !== settle || !this.#holds(own)) return;
        own.settle = null;
        this.#keep(own, facts.caller, sessionWaitOverheadBytes + waitBytes(wanted));
      },
    };
  };

  /** The replica serves no more. The places stay, and their clients ask for them elsewhere. */
  end(): void {
    for (const wait of this.#waits.values()) this.#remove(wait);
  }

  #serve(wait: Wait, wanted: SessionWait, facts: ReplicaWaitFacts): void {
    this.#options.serve(wanted, { ...facts, gone: wait.gone.signal }).then((end) => {
      if (!this.#holds(wait)) {
        if (wait.gone.signal.aborted) this.#giveUp(end);
      } else if (wait.settle !== null) this.#tell(wait, end);
      // At another replica the place is found again.
      else if (end.answer?.kind === 'answered') wait.end = end;
      else this.#remove(wait);
    }, this.#options.broken);
  }

  /** Keeps the place while its client is away, if there is memory for that. */
  #keep(wait: Wait, caller: Caller, bytes: number): void {
    const memory = this.#options.memory(caller);
    wait.grace = { cancel: this.#options.later(() => this.#leave(wait), sessionWaitGraceMs), memory };
    if (memory.hold(bytes) !== null) this.#leave(wait);
  }

  #tell(wait: Wait, end: WaitEnd): void {
    const { settle } = wait;
    this.#remove(wait);
    wait.end = end;
    wait.told = settle;
    wait.settle = null;
    if (end.answer !== null) settle?.(end.answer);
  }

  #leave(wait: Wait): void {
    if (!this.#holds(wait)) return;
    this.#remove(wait);
    wait.gone.abort();
    if (wait.end !== null) this.#giveUp(wait.end);
  }

  #giveUp({ giveUp }: WaitEnd): void {
    giveUp?.().catch(this.#options.broken);
  }

  #refusal(owner: string): FailureData | null {
    if ((this.#ofOwner.get(owner) ?? 0) >= ofOwnerMax) {
      return { kind: 'tooManyOpen', what: 'wait', of: 'key', max: ofOwnerMax };
    }
    if (this.#waits.size < lockWaitersMax) return null;
    return { kind: 'tooManyOpen', what: 'wait', of: 'replica', max: lockWaitersMax };
  }

  #holds(wait: Wait): boolean {
    return this.#waits.get(wait.name) === wait;
  }

  #add(wait: Wait): void {
    this.#waits.set(wait.name, wait);
    this.#ofOwner.set(wait.owner, (this.#ofOwner.get(wait.owner) ?? 0) + 1);
    if (wait.keepsAwake) this.#stayAwake();
  }

  #remove(wait: Wait): void {
    if (!this.#holds(wait)) return;
    this.#waits.delete(wait.name);
    endGrace(wait);
    const others = (this.#ofOwner.get(wait.owner) ?? 1) - 1;
    if (others > 0) this.#ofOwner.set(wait.owner, others);
    else this.#ofOwner.delete(wait.owner);
  }

  /** A pending timer keeps the platform from putting the object to sleep. */
  #stayAwake(): void {
    if (this.#isAwake) return;
    this.#isAwake = true;
    this.#options.later(() => {
      this.#isAwake = false;
      for (const { keepsAwake } of this.#waits.values()) if (keepsAwake) return this.#stayAwake();
    }, sessionWaitAwakeMs);
  }
}

function endGrace(wait: Wait): void {
  wait.grace?.cancel();
  wait.grace?.memory.release();
  wait.grace = null;
}

// What clients hold open on one replica: sockets, streaming answers, calls that wait for their turn or read for long.
// Only this file knows all of it by access key: it bounds what one key holds, and ends it when the key ends. No I/O:
// the clock, the timer and what is known of keys come with the options.

import type { Failure, OpenKind } from '../api/errors/failures.ts';
import { ownerText } from '../api/caller-text.ts';
import {
  frameSocketsMax,
  hashesMax,
  keepAliveStreamsMax,
  lockWaitersMax,
  observersMax,
  openKeyShare,
  openProbeMs,
  openProbeSpacingMs,
  dumpsMax,
  sessionHandlesOfReplicaMax,
  sessionsMax,
  watchAuthorizeMs,
  watchBodiesMax,
  watchersMax,
  watchSocketsMax,
} from '../limits.ts';
import type { Caller } from '../model/store.ts';
import type { LimitTerm } from '../model/terms.ts';

export type OpenCall = {
  readonly kind: OpenKind;
  readonly caller: Caller;
  /**
   * Called when the access key has ended, and with it the call: `failure` says why. The call is no longer known here.
   */
  readonly end: (failure: Failure) => void;
  /** Writes something small, so that a client that has left is noticed. Null: nothing can be written. */
  readonly probe: (() => void) | null;
};

/** What the operator may bound for a tenant (`model/terms.ts`), beside its watches, which the hub counts. */
type BoundedGroup = 'connections' | 'waits';
export const openTerms: Readonly<Record<BoundedGroup, LimitTerm>> = {
  connections: 'connectionsMax',
  waits: 'waitsMax',
};
const kindsOfGroup: Readonly<Record<BoundedGroup, readonly OpenKind[]>> = {
  connections: ['watchSocket', 'watchStream', 'callSocket', 'session', 'observer', 'keepAliveStream'],
  waits: ['wait'],
};
const boundedGroups = Object.keys(openTerms) as readonly BoundedGroup[];

export type OpenCallsOptions = {
  /** How many the tenant may hold open here. Null: there is no such bound. */
  readonly most: (what: BoundedGroup) => number | null;
  /** What is wrong with the caller's access key by now. Null: nothing. */
  readonly keyFailure: (caller: Caller) => Failure | null;
  /** The time at which the caller's access key expires. Null: never. */
  readonly expiresAtMs: (caller: Caller) => number | null;
  readonly nowMs: () => number;
  /** Runs a task once, unless the returned function is called before. */
  readonly later: (task: () => void, delayMs: number) => () => void;
};

/** The number of slots of each kind on a replica. */
export const openMax: Readonly<Record<OpenKind, number>> = {
  watchSocket: watchSocketsMax,
  watchStream: watchBodiesMax,
  callSocket: frameSocketsMax,
  session: sessionsMax,
  sessionHandle: sessionHandlesOfReplicaMax,
  sessionWatch: watchersMax,
  observer: observersMax,
  keepAliveStream: keepAliveStreamsMax,
  wait: lockWaitersMax,
  dump: dumpsMax,
  hash: hashesMax,
};

/** The number of slots of each kind that one access key may hold. */
export function openOfKeyMax(kind: OpenKind): number {
  return Math.floor(openMax[kind] * openKeyShare);
}

/** A socket hibernates, and must not be kept from it by a timer. */
const hibernates: ReadonlySet<OpenKind> = new Set<OpenKind>([
  'watchSocket',
  'callSocket',
  'session',
  'sessionHandle',
  'sessionWatch',
]);

/** The longest time of a timer: 24 days. */
const timerMsMax = 2_147_483_647;

/** `isKnown`: the access key was found here. One that was not may have been made where this replica is not yet. */
type Owner = {
  readonly caller: Caller;
  isKnown: boolean;
  expiresAtMs: number;
  readonly calls: Set<OpenCall>;
  readonly counts: Map<OpenKind, number>;
};

export class OpenCalls {
  readonly #options: OpenCallsOptions;
  readonly #owners = new Map<string, Owner>();
  readonly #counts = new Map<OpenKind, number>();
  readonly #probes = new Map<string, { readonly atMs: number; readonly done: Promise<void> }>();
  #earliestMs = Number.POSITIVE_INFINITY;
  #lookedMs = 0;
  #timer: { readonly atMs: number; readonly cancel: () => void } | null = null;

  constructor(options: OpenCallsOptions) {
    this.#options = options;
  }

  /** The time at which the first access key expires with which anything is open. Null: none ever does. */
  get earliestExpiryMs(): number | null {
    return this.#earliestMs === Number.POSITIVE_INFINITY ? null : this.#earliestMs;
  }

  count(kind: OpenKind): number {
    return this.#counts.get(kind) ?? 0;
  }

  /** Why this caller may not open one more. Null: it may. */
  refusal(kind: OpenKind, caller: Caller): Failure | null {
    const owner = this.#owners.get(ownerText(caller));
    if ((owner?.counts.get(kind) ?? 0) >= openOfKeyMax(kind)) {
      return { kind: 'tooManyOpen', what: kind, of: 'key', max: openOfKeyMax(kind) };
    }
    const ofTenant = this.#refusalOfTenant(kind);
    if (ofTenant !== null || this.count(kind) < openMax[kind]) return ofTenant;
    return { kind: 'tooManyOpen', what: kind, of: 'replica', max: openMax[kind] };
  }

  /** A replica is of one tenant, so its counts are the tenant's. */
  #refusalOfTenant(kind: OpenKind): Failure | null {
    const group = boundedGroups.find((each) => kindsOfGroup[each].includes(kind));
    const max = group === undefined ? null : this.#options.most(group);
    if (group === undefined || max === null) return null;
    const count = kindsOfGroup[group].reduce((sum, each) => sum + this.count(each), 0);
    return count < max ? null : { kind: 'tooManyOpen', what: kind, of: 'tenant', max };
  }

  /**
   * The same, after the clients that hold the slots were asked for a sign of life: a client that has left is noticed
   * only when something is written to it.
   */
  async refusalAfterProbe(kind: OpenKind, caller: Caller): Promise<Failure | null> {
    const refusal = this.refusal(kind, caller);
    if (refusal?.kind !== 'tooManyOpen') return refusal;
    await this.#probe(kind, refusal.of === 'key' ? caller : null);
    return this.refusal(kind, caller);
  }

  add(call: OpenCall): void {
    const { kind, caller } = call;
    const text = ownerText(caller);
    let owner = this.#owners.get(text);
    if (owner === undefined) {
      const expiresAtMs = this.#options.expiresAtMs(caller) ?? Number.POSITIVE_INFINITY;
      const isKnown = !isUnknown(this.#options.keyFailure(caller));
      owner = { caller, isKnown, expiresAtMs, calls: new Set(), counts: new Map() };
      this.#owners.set(text, owner);
      this.#earliestMs = Math.min(this.#earliestMs, expiresAtMs);
    }
    owner.calls.add(call);
    add(owner.counts, kind, 1);
    add(this.#counts, kind, 1);
    if (!hibernates.has(kind)) this.#arm();
  }

  /** The call has ended. This may be called again. */
  delete(call: OpenCall): void {
    const text = ownerText(call.caller);
    const owner = this.#owners.get(text);
    if (owner === undefined || !owner.calls.delete(call)) return;
    add(owner.counts, call.kind, -1);
    add(this.#counts, call.kind, -1);
    if (owner.calls.size === 0) {
      this.#owners.delete(text);
      if (owner.expiresAtMs === this.#earliestMs) this.#findEarliest();
    }
    if (!hibernates.has(call.kind)) this.#arm();
  }

  /**
   * An access key was revoked or rotated, the tenant was suspended, or the logins without a key have changed: what the
   * callers concerned hold open ends.
   */
  keysChanged(): void {
    for (const owner of this.#owners.values()) {
      const failure = this.#options.keyFailure(owner.caller);
      // What is asked with such a key is refused once the replica has caught up.
      if (!owner.isKnown && isUnknown(failure)) continue;
      owner.isKnown = true;
      if (failure === null) owner.expiresAtMs = this.#options.expiresAtMs(owner.caller) ?? Number.POSITIVE_INFINITY;
      else this.#end(owner, failure);
    }
    this.#findEarliest();
    this.#arm();
  }

  /**
   * Ends what belongs to access keys that have expired by now. It is called before anything is sent, so that nothing
   * leaves after the expiry.
   */
  expire(): void {
    if (this.#options.nowMs() < this.#earliestMs) return;
    this.keysChanged();
  }

  /**
   * Called by the replica's clock. A snapshot of the store may have brought other access keys, so now and then all are
   * looked at.
   */
  tick(): void {
    const nowMs = this.#options.nowMs();
    if (nowMs - this.#lookedMs < watchAuthorizeMs) return this.expire();
    this.#lookedMs = nowMs;
    this.keysChanged();
  }

  #end(owner: Owner, failure: Failure): void {
    for (const call of owner.calls) {
      this.delete(call);
      call.end(failure);
    }
  }

  /** `caller` null: all of the kind. Callers that ask at the same time, or soon after, share one probe. */
  #probe(kind: OpenKind, caller: Caller | null): Promise<void> {
    const text = `${kind} ${caller === null ? '' : ownerText(caller)}`;
    const nowMs = this.#options.nowMs();
    const last = this.#probes.get(text);
    if (last !== undefined && nowMs - last.atMs < openProbeSpacingMs) return last.done;
    const owners = caller === null ? [...this.#owners.values()] : [this.#owners.get(ownerText(caller))];
    for (const owner of owners) {
      for (const call of owner?.calls ?? []) if (call.kind === kind) call.probe?.();
    }
    const done = new Promise<void>((resolve) => {
      this.#options.later(resolve, openProbeMs);
    });
    for (const [old, { atMs }] of this.#probes) if (nowMs - atMs >= openProbeSpacingMs) this.#probes.delete(old);
    this.#probes.set(text, { atMs: nowMs, done });
    return done;
  }

  #findEarliest(): void {
    this.#earliestMs = Number.POSITIVE_INFINITY;
    for (const { expiresAtMs } of this.#owners.values()) this.#earliestMs = Math.min(this.#earliestMs, expiresAtMs);
  }

  /** A streaming answer and a waiting call keep the object awake anyway, so a timer of theirs costs nothing. */
  #arm(): void {
    const isAwake = [...this.#counts].some(([kind, count]) => count > 0 && !hibernates.has(kind));
    const atMs = isAwake ? this.#earliestMs : Number.POSITIVE_INFINITY;
    if (this.#timer?.atMs === atMs) return;
    this.#timer?.cancel();
    this.#timer = null;
    if (atMs === Number.POSITIVE_INFINITY) return;
    const ring = (): void => {
      this.#timer = null;
      this.expire();
      this.#arm();
    };
    const delayMs = Math.max(0, Math.min(atMs - this.#options.nowMs(), timerMsMax));
    this.#timer = { atMs, cancel: this.#options.later(ring, delayMs) };
  }
}

function add(counts: Map<OpenKind, number>, kind: OpenKind, by: 1 | -1): void {
  counts.set(kind, (counts.get(kind) ?? 0) + by);
}

function isUnknown(failure: Failure | null): boolean {
  return failure?.kind === 'unauthenticated' && failure.reason === 'unknown';
}

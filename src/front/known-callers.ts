// The credentials that the gateway took, and the tenants to whose stores calls go by session for them. The front cannot
// tell good credentials from bad ones: it hands their first call on, and learns from the answer.

import { randomBytes } from 'node:crypto';
import type { RequestHeaders } from '../api/contract.ts';
import { credentialsOf, tenantNamedBy, textOf } from '../api/credentials.ts';
import { MemoryBudget, type Reservation } from '../base/memory-budget.ts';
import type { FrontBounds } from './bounds.ts';
import { type KnownCaller, StoreSessions } from './store-sessions.ts';
import type { Upstream } from './upstream.ts';
import { SharedWatches } from './watch/shared-watches.ts';

export type KnownStore = {
  readonly sessions: StoreSessions;
  readonly tenant: string;
  readonly callers: Map<string, KnownCaller>;
  readonly watches: SharedWatches<KnownCaller>;
  callsUnderWay: number;
  /** Calls that wait for their turn in a queue. */
  waitsUnderWay: number;
  /** Streams of etcd's watches that are open, also those without a watch. */
  streams: number;
  usedMs: number;
};

export type Known = { readonly store: KnownStore; readonly caller: KnownCaller };

/** Where credentials come in a request that is no WebSocket's (`credentialsOf`). */
const credentialHeaders = [
  'Quorate-Key',
  'Authorization',
  'Grpc-Metadata-Authorization',
  'Grpc-Metadata-Token',
] as const;

export class KnownCallers {
  readonly #upstream: Upstream;
  readonly #bounds: FrontBounds;
  readonly #processId = randomBytes(16);
  /** By the lines of their credentials, as the callers of each store are. */
  readonly #known = new Map<string, Known>();
  readonly #stores = new Map<string, KnownStore>();
  readonly #bodies: MemoryBudget;
  readonly #answers: MemoryBudget;
  #lastId = 0;

  constructor(upstream: Upstream, bounds: FrontBounds) {
    this.#upstream = upstream;
    this.#bounds = bounds;
    const { bodyBytesMax, tenantBodyBytesMax } = bounds;
    this.#bodies = new MemoryBudget({
      bytesMax: bodyBytesMax,
      tenantBytesMax: tenantBodyBytesMax,
      keyBytesMax: tenantBodyBytesMax,
    });
    this.#answers = new MemoryBudget(bounds.answers);
  }

  /** Null: the gateway has not taken these credentials, as far as is known. */
  find(headers: RequestHeaders): Known | null {
    return this.#known.get(linesOf(headers)) ?? null;
  }

  /** Whether a call can go by session at once: the session is there, takes the caller, and has room for one more. */
  mayAsk({ store, caller }: Known): boolean {
    store.usedMs = performance.now();
    caller.usedMs = store.usedMs;
    if (caller.refusedAs !== null || store.callsUnderWay >= this.#bounds.tenantCallsMax) return false;
    // The bytes of calls whose clients have left count for as long as they are here.
    return store.sessions.isReady(caller) && store.sessions.unsentBytes <= this.#bounds.tenantBodyBytesMax;
  }

  /** Whether a call may go by session, also before that is open. */
  mayBeAsked(known: Known): boolean {
    this.mayWatch(known);
    return known.caller.refusedAs === null && known.store.callsUnderWay < this.#bounds.tenantCallsMax;
  }

  /** Whether a watch can begin by session at once. */
  mayWatch({ store, caller }: Known): boolean {
    store.usedMs = performance.now();
    caller.usedMs = store.usedMs;
    return caller.refusedAs === null && store.sessions.isReady(caller);
  }

  /** Whether a call that may go by session may wait there, too: a session takes fewer waits than a replica. */
  mayWait({ store }: Known): boolean {
    return store.waitsUnderWay < this.#bounds.tenantWaitsMax;
  }

  /** The gateway took the credentials of a call: it answered with this status. */
  answered(headers: RequestHeaders, status: number): void {
    if (!isTaken(status)) return;
    const lines = linesOf(headers);
    const credentials = credentialsOf(headers);
    const tenant = tenantNamedBy(credentials);
    const { credentialBytesMax, credentialsMax, tenantCredentialsMax } = this.#bounds;
    if (tenant === null || this.#known.has(lines) || this.#known.size >= credentialsMax) return;
    if (lines.length > credentialBytesMax) return;
    const store = this.#stores.get(tenant) ?? this.#meet(tenant);
    if (store === null || store.callers.size >= tenantCredentialsMax) return;
    const caller: KnownCaller = { credentials, lines, refusedAs: null, usedMs: performance.now() };
    store.callers.set(lines, caller);
    this.#known.set(lines, { store, caller });
    // The first call that may go by session finds it open.
    store.sessions.isReady(caller);
  }

  /** The next call is for the gateway to judge. */
  forget({ store, caller }: Known): void {
    if (store.callers.get(caller.lines) === caller) {
      store.callers.delete(caller.lines);
      this.#known.delete(caller.lines);
    }
    store.sessions.release(caller);
  }

  /** All that is known of the tenant is forgotten: its replicas are gone, or nobody calls it. */
  leave(store: KnownStore): void {
    if (this.#stores.get(store.tenant) !== store) return;
    this.#stores.delete(store.tenant);
    for (const lines of store.callers.keys()) this.#known.delete(lines);
    store.watches.close();
    store.sessions.close();
  }

  /** Null: the bodies of the calls under way take all the memory that they may. */
  reserve({ tenant }: KnownStore, bytes: number): Reservation | null {
    const memory = this.#bodies.reserve({ tenant, key: '' });
    return memory.hold(bytes) === null ? memory : null;
  }

  /**
   * For an answer to this caller, which counts until its client has read it. The share is the key's or the token's, in
   * whatever form its header came.
   */
  reserveAnswer({ store, caller }: Known): Reservation {
    return this.#answers.reserve({ tenant: store.tenant, key: textOf(caller.credentials) });
  }

  newId(): number {
    return ++this.#lastId;
  }

  look(nowMs: number): void {
    for (const store of this.#stores.values()) {
      const isIdle = ({ usedMs }: { readonly usedMs: number }): boolean => nowMs - usedMs > this.#bounds.tenantIdleMs;
      const open = store.callsUnderWay + store.waitsUnderWay + store.watches.count + store.streams;
      if (open === 0 && isIdle(store)) this.leave(store);
      else for (const caller of store.callers.values()) if (isIdle(caller)) this.forget({ store, caller });
    }
  }

  close(): void {
    for (const store of this.#stores.values()) this.leave(store);
  }

  #meet(tenant: string): KnownStore | null {
    if (this.#stores.size >= this.#bounds.tenantsMax) return null;
    const sessions: StoreSessions = new StoreSessions({
      upstream: this.#upstream,
      processId: this.#processId,
      refused: (caller) => this.forget({ store, caller }),
    });
    const store: KnownStore = {
      tenant,
      callers: new Map(),
      watches: new SharedWatches((caller, watch, sink) => sessions.watch(caller, watch, sink)),
      callsUnderWay: 0,
      waitsUnderWay: 0,
      streams: 0,
      usedMs: performance.now(),
      sessions,
    };
    this.#stores.set(tenant, store);
    return store;
  }
}

/**
 * The gateway looks at the credentials of a call on a store before anything else. A caller to whom it forbids
 * something may be of a tenant that is suspended, whose objects are not to be woken.
 */
function isTaken(status: number): boolean {
  return status < 400 || status === 404 || status === 412;
}

/**
 * The bytes of the credentials are their identity. A field that is empty says something else than one that is missing.
 */
function linesOf(headers: RequestHeaders): string {
  let lines = '';
  for (const name of credentialHeaders) if (headers.has(name)) lines += `${name}: ${headers.get(name)}\r\n`;
  return lines;
}

// Finds the replica that can answer a call. It asks the leader that this isolate last saw, then the replica that others
// name, then the next one (`Search`). A write may be sent more than once while the leader changes, and its id makes the
// group apply it once.

import type { ReplicaNamespace, ReplicaStub } from './env.ts';
import type { PlacedMember } from '../model/calls.ts';
import { absentKnownMs, leadersCachedMax, replicasMax } from '../limits.ts';
import { within } from '../base/timers.ts';
import { type GroupCall, type Routed, start } from '../routing/attempts.ts';
import { routeCall } from '../routing/group-route.ts';
import { KnownGroup } from '../routing/known-group.ts';
import { Search, toldOf, unavailable } from '../routing/search.ts';
import { attempt, type StubCall } from './stub-calls.ts';

/**
 * Where the replicas of a tenant are, as the directory says. The list is empty where the directory knows no such
 * tenant, and null where it does not answer. The directory is asked only when all else failed, and once for a call.
 */
export type PlacedReplicas = (tenant: string) => Promise<readonly PlacedMember[] | null>;

export class GroupRouter {
  readonly #namespace: ReplicaNamespace;
  readonly #groups = new Map<string, KnownGroup>();
  readonly #ids = new Map<string, DurableObjectId>();
  readonly #placed: PlacedReplicas;
  /**
   * Tenants of which neither a replica nor a row in the directory was found, and until when this isolate believes it.
   */
  readonly #absentUntilMs = new Map<string, number>();

  constructor(namespace: ReplicaNamespace, placed: PlacedReplicas) {
    this.#namespace = namespace;
    this.#placed = placed;
  }

  /**
   * A stub belongs to the request that made it, so only ids are remembered. The runtime must not retry, because `route`
   * does it and knows which replica is next.
   */
  stub(tenant: string, replica: number, locationHint?: DurableObjectLocationHint): ReplicaStub {
    const name = `${tenant}/${replica}`;
    let id = this.#ids.get(name);
    if (id === undefined) {
      id = this.#namespace.idFromName(name);
      if (this.#ids.size >= leadersCachedMax * replicasMax) this.#ids.clear();
      this.#ids.set(name, id);
    }
    const options = { retry: { maxRetries: 0 } };
    return this.#namespace.get(id, locationHint === undefined ? options : { ...options, locationHint });
  }

  /** Whether a replica of the tenant may have this number, as far as this isolate knows: no object is made in vain. */
  mayHave(tenant: string, replica: number): boolean {
    const known = this.#groups.get(tenant)?.candidates ?? [];
    return replica <= Math.max(replicasMax, ...known) + replicasMax;
  }

  /** How many writes of the tenant there were, as far as this isolate was told. Null: it was told of no count. */
  writesSeen(tenant: string): number | null {
    return this.#groups.get(tenant)?.writesSeen ?? null;
  }

  counted(tenant: string, writes: number): void {
    this.#groups.get(tenant)?.counted(writes);
  }

  forget(tenant: string): void {
    this.#groups.delete(tenant);
  }

  /** Asks replicas until one answers. Gives up after `requestTimeoutMs`, unless the call waits on purpose. */
  async route<Value>(tenant: string, call: StubCall<Value>): Promise<Routed<Value>> {
    if (this.#isKnownAbsent(tenant)) return { kind: 'absent' };
    const group = this.#groups.get(tenant) ?? this.#meet(tenant);
    const onGroup = this.#onGroup(tenant, call);
    const { routed, deadlineMs } = await routeCall(group, onGroup);
    if (routed.kind !== 'absent') return routed;
    return this.#routeAsPlaced(tenant, { call: onGroup, tried: group, deadlineMs });
  }

  #onGroup<Value>(tenant: string, call: StubCall<Value>): GroupCall<Value> {
    const { patience, reader } = call;
    return {
      patience,
      reader,
      ask: (replica, told, signal) => attempt(call, this.stub(tenant, replica), told, signal),
    };
  }

  /** No replica that this isolate knew exists any more. The directory knows which replicas the group went on with. */
  async #routeAsPlaced<Value>(
    tenant: string,
    { call, tried, deadlineMs }: { call: GroupCall<Value>; tried: KnownGroup; deadlineMs: number },
  ): Promise<Routed<Value>> {
    this.forget(tenant);
    const placed = await within(this.#placed(tenant), Math.max(0, deadlineMs - Date.now()));
    if (placed === null) return unavailable;
    const [first] = placed;
    const isKnown = placed.every(({ number }) => tried.candidates.includes(number));
    if (first === undefined || isKnown) return this.#noteAbsent(tenant);
    const group = this.#meet(tenant);
    group.told(placed, Date.now());
    group.leader = first.number;
    const [replica, told] = [first.number, toldOf(group, call, first.number)];
    // Whatever the replicas answer, only those that the directory named are asked: replicas that left a group may name
    // each other for ever.
    const started = start(call, { replica, told, abort: new AbortController() });
    const routed = await new Search({ call, group, deadlineMs }).run(started);
    if (routed.kind !== 'done') this.forget(tenant);
    return routed.kind === 'absent' ? this.#noteAbsent(tenant) : routed;
  }

  /**
   * A client that goes on with a key of a deleted tenant, or with names of tenants that do not exist, costs the
   * directory nothing. An id is never given to a second tenant.
   */
  #isKnownAbsent(tenant: string): boolean {
    if (this.#absentUntilMs.size === 0) return false;
    const untilMs = this.#absentUntilMs.get(tenant);
    if (untilMs === undefined) return false;
    if (Date.now() < untilMs) return true;
    this.#absentUntilMs.delete(tenant);
    return false;
  }

  #noteAbsent(tenant: string): { readonly kind: 'absent' } {
    if (this.#absentUntilMs.size >= leadersCachedMax) this.#absentUntilMs.clear();
    this.#absentUntilMs.set(tenant, Date.now() + absentKnownMs);
    return { kind: 'absent' };
  }

  #meet(tenant: string): KnownGroup {
    const group = new KnownGroup();
    if (this.#groups.size >= leadersCachedMax) this.#groups.clear();
    this.#groups.set(tenant, group);
    return group;
  }
}

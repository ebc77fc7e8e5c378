// Finds the replica that can answer: the leader this isolate last saw, then whoever the replicas name, then the next
// one (`Search`). A write may be sent more than once over a change of leader; its id makes the group apply it once.

import type { ReplicaNamespace, ReplicaStub } from './env.ts';
import type { PlacedMember } from '../model/calls.ts';
import { absentKnownMs, leadersCachedMax, replicasMax, requestTimeoutMs } from '../limits.ts';
import { within } from '../base/timers.ts';
import { type GroupCall, type Routed, start, toLeader } from './attempts.ts';
import { KnownGroup } from './known-group.ts';
import { noteAnswer, Search, toldOf, unavailable } from './search.ts';

/**
 * Where the directory says that a tenant's replicas are; none, where it knows no such tenant; null: it does not answer.
 * Asked only when all else failed, and once for a call.
 */
export type PlacedReplicas = (tenant: string) => Promise<readonly PlacedMember[] | null>;

export class GroupRouter {
  readonly #namespace: ReplicaNamespace;
  readonly #groups = new Map<string, KnownGroup>();
  readonly #ids = new Map<string, DurableObjectId>();
  readonly #placed: PlacedReplicas;
  /** Tenants of which nothing was found, neither a replica nor a place, and until when that counts. */
  readonly #absentUntilMs = new Map<string, number>();

  constructor(namespace: ReplicaNamespace, placed: PlacedReplicas) {
    this.#namespace = namespace;
    this.#placed = placed;
  }

  /**
   * A stub belongs to the request that made it, so only ids are remembered. The runtime must not retry: `route` does,
   * and knows which replica is next.
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

  forget(tenant: string): void {
    this.#groups.delete(tenant);
  }

  /** Asks replicas until one answers. Gives up after `requestTimeoutMs`, except on a call that waits on purpose. */
  async route<Value>(tenant: string, call: GroupCall<Value>): Promise<Routed<Value>> {
    if (this.#isKnownAbsent(tenant)) return { kind: 'absent' };
    const group = this.#groups.get(tenant) ?? this.#meet(tenant);
    const stubOf = (replica: number): ReplicaStub => this.stub(tenant, replica);
    const replica = (call.reader === null ? null : group.nearestTo(call.reader, Date.now())) ?? group.leader;
    const told = call.reader === null ? toLeader : toldOf(group, call, replica);
    const first = start(call, { stub: stubOf(replica), replica, told, abort: null });
    // Nearly every call ends here, so nothing is made for it beyond this.
    const answer = await (call.patience === 'waits' ? first.answer : within(first.answer, group.hedgeMs));
    if (answer?.kind === 'done') {
      noteAnswer(group, call, first);
      return answer;
    }
    const deadlineMs = first.startedMs + requestTimeoutMs;
    const routed = await new Search({ call, group, stubOf, deadlineMs }).run(first);
    return routed.kind === 'absent' ? this.#routeAsPlaced(tenant, { call, tried: group, deadlineMs }) : routed;
  }

  /** None of those that this isolate knew is there any more: the directory knows whom the group went on with. */
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
    const stubOf = (replica: number): ReplicaStub => this.stub(tenant, replica);
    const [replica, told] = [first.number, toldOf(group, call, first.number)];
    // Whatever they say, nobody is asked again who was not asked now: replicas that left may name each other for ever.
    const started = start(call, { stub: stubOf(replica), replica, told, abort: new AbortController() });
    const routed = await new Search({ call, group, stubOf, deadlineMs }).run(started);
    if (routed.kind !== 'done') this.forget(tenant);
    return routed.kind === 'absent' ? this.#noteAbsent(tenant) : routed;
  }

  /**
   * Whoever goes on with a key of a deleted tenant, or with names that are none, costs the directory nothing. Ids are
   * never used twice.
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

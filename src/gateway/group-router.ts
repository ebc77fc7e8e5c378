// Finds the replica that can answer: the leader this isolate last saw, then whoever the replicas name, then the next one.
// A write may be sent more than once over a change of leader; its id makes the group apply it once.

import type { Attempt } from '../api/routing.ts';
import type { ReplicaNamespace, ReplicaStub } from './env.ts';
import { attemptLongMs, leadersCachedMax, replicasMax, requestTimeoutMs } from '../limits.ts';

export type Routed<Value> =
  | { readonly kind: 'done'; readonly value: Value }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unavailable'; readonly detail: string };

type KnownGroup = { leader: number; members: readonly number[] };

export class GroupRouter {
  readonly #namespace: ReplicaNamespace;
  readonly #groups = new Map<string, KnownGroup>();
  readonly #ids = new Map<string, DurableObjectId>();

  constructor(namespace: ReplicaNamespace) {
    this.#namespace = namespace;
  }

  /**
   * A stub belongs to the request that made it, so only ids are remembered. The runtime must not retry: `route` does, and
   * knows which replica is next.
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

  /**
   * Asks replicas until one answers. `ask` gets the leader that did not answer (0: none), for the replica to stand for
   * election at once. Gives up after `requestTimeoutMs`.
   */
  async route<Value>(
    tenant: string,
    ask: (stub: ReplicaStub, failedLeader: number) => Promise<Attempt<Value>>,
  ): Promise<Routed<Value>> {
    let deadlineMs = Date.now() + requestTimeoutMs;
    const group = this.#groups.get(tenant) ?? { leader: 1, members: [] };
    let replica = group.leader;
    let failedLeader = 0;
    const absent = new Set<number>();
    for (let attempt = 1; ; attempt++) {
      const startedMs = Date.now();
      const attempted = await this.#attempt(tenant, replica, failedLeader, ask);
      if (Date.now() - startedMs >= attemptLongMs) deadlineMs = Date.now() + requestTimeoutMs;
      switch (attempted.kind) {
        case 'done':
          if (group.leader !== replica) this.#remember(tenant, { leader: replica, members: group.members });
          return attempted;
        case 'failed':
          failedLeader = replica;
          replica = next(group, replica);
          break;
        case 'absent':
          absent.add(replica);
          if (candidates(group).every((candidate) => absent.has(candidate))) return { kind: 'absent' };
          replica = next(group, replica);
          break;
        case 'redirect':
          if (attempted.members.length > 0) group.members = attempted.members;
          replica = attempted.leader === 0 || attempted.leader === replica ? next(group, replica) : attempted.leader;
          break;
      }
      if (Date.now() >= deadlineMs) {
        return { kind: 'unavailable', detail: `no replica of the store could answer within ${requestTimeoutMs} ms` };
      }
      // The first steps go from replica to replica at once; a group that stays without a leader is not hammered.
      if (attempt > 3) await scheduler.wait(Math.min(20 * 2 ** (attempt - 4), 250));
    }
  }

  async #attempt<Value>(
    tenant: string,
    replica: number,
    failedLeader: number,
    ask: (stub: ReplicaStub, failedLeader: number) => Promise<Attempt<Value>>,
  ): Promise<Attempt<Value> | { readonly kind: 'failed' }> {
    try {
      return await ask(this.stub(tenant, replica), failedLeader);
    } catch (error) {
      if (!isOutage(error)) throw error;
      return { kind: 'failed' };
    }
  }

  #remember(tenant: string, group: KnownGroup): void {
    if (this.#groups.size >= leadersCachedMax) this.#groups.clear();
    this.#groups.set(tenant, group);
  }
}

/** The members, where they were told; else the first three, which every new group but one has. */
function candidates(group: KnownGroup): readonly number[] {
  return group.members.length > 0 ? group.members : [1, 2, 3];
}

function next(group: KnownGroup, replica: number): number {
  const members = candidates(group);
  return members[(members.indexOf(replica) + 1) % members.length] ?? 1;
}

/** What comes from the object or from the way to it is marked by the platform; anything else is a fault of this code. */
function isOutage(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return ['remote', 'durableObjectReset', 'retryable'].some((mark) => Reflect.get(error, mark) === true);
}

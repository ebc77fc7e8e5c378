// Makes and deletes tenants. To make one, its row in the directory comes first, so that nothing exists that the
// directory does not know; then the replicas; then the first access key. Every step can be repeated, and a tenant that
// was left half-made is deleted.
//
// To wipe one, its row first says so. Then every object that may be a replica stops being one, and says how many
// numbers its group had given, until no object names a number that was not asked. From here on no object of the tenant
// is made, and the row says how many numbers there are. Only then are the objects wiped, so that whoever goes on after
// an interruption finds the same objects.

import type { LocationHint } from '../model/locations.ts';
import { deletionCallsMax, wipeRetryMs } from '../limits.ts';
import type { GroupAnswer } from '../api/replica-request.ts';
import type { AccessKey, Caller, Operation } from '../model/store.ts';
import type { Directory, Labels, PlacedReplica, Tenant } from '../tenants/directory.ts';
import { type KeyRing, newId } from '../tenants/key-text.ts';
import type { Plan } from '../tenants/plans.ts';
import { askObject, groupCall } from './ask-replica.ts';
import type { Routed } from '../routing/attempts.ts';
import { isOutage } from './stub-calls.ts';
import type { ReplicaStub } from './env.ts';
import type { GroupRouter } from './group-router.ts';

export type Provisioned = { readonly tenant: Tenant; readonly key: string };
export type Administered = GroupAnswer<'administer'>;
export type NewTenant = {
  readonly name: string;
  readonly labels: Labels;
  readonly plan: Plan;
  readonly placement: readonly LocationHint[];
};
export type NewAccessKey = Pick<AccessKey, 'name' | 'role' | 'prefix' | 'morePrefixes' | 'expiresAtMs'>;
export type IssuedKey = { readonly accessKey: AccessKey; readonly key: string; readonly outcome: Administered };

/** When the schedule goes on with a wipe that broke off. `dueAtMs`: the tenant is wiped only if that is due then. */
type WipeTimes = { readonly retryAtMs: number; readonly dueAtMs?: number };
export type WipeOutcome = 'wiped' | 'notDue' | 'brokeOff';

export class Provisioning {
  readonly #directory: Directory;
  readonly #groups: GroupRouter;
  readonly #keys: KeyRing;

  constructor(directory: Directory, groups: GroupRouter, keys: KeyRing) {
    this.#directory = directory;
    this.#groups = groups;
    this.#keys = keys;
  }

  /**
   * Answers 'nameTaken' where another tenant has the name. Throws where a replica or the directory cannot be reached.
   */
  async create(request: NewTenant, actor: string, nowMs: number): Promise<Provisioned | 'nameTaken'> {
    const replicas = request.placement.map((location, index): PlacedReplica => ({ number: index + 1, location }));
    const tenant: Tenant = {
      id: newId(),
      name: request.name,
      state: 'provisioning',
      isSuspended: false,
      wipeAtMs: null,
      isToldOfWipe: false,
      labels: request.labels,
      plan: request.plan.name,
      planTerms: request.plan.terms,
      terms: {},
      termsVersion: 0,
      createdAtMs: nowMs,
      replicas,
      nextNumber: replicas.length + 1,
    };
    if (!(await this.#directory.add(tenant))) {
      if (!(await this.#takeBackUnfinished(request.name, nowMs))) return 'nameTaken';
      if (!(await this.#directory.add(tenant))) return 'nameTaken';
    }
    try {
      await Promise.all(replicas.map((replica) => this.#provisionReplica(tenant, replica)));
      const access = { name: '', role: 'admin', prefix: new Uint8Array(0), expiresAtMs: null } as const;
      const key = await this.issueKey({ tenant: tenant.id, caller: { kind: 'service' }, access, nowMs });
      if (key.kind !== 'done' || key.value.outcome.kind === 'failed') throw new Error('the first key was not stored');
      if (!(await this.#directory.setReady(tenant.id))) throw new Error('the tenant was deleted while it was made');
      await this.#directory.record({
        atMs: nowMs,
        actor,
        action: 'tenant.create',
        tenantId: tenant.id,
        detail: tenant.name,
      });
      return { tenant: { ...tenant, state: 'ready' }, key: key.value.key };
    } catch (error) {
      await this.#wipe(tenant, { retryAtMs: nowMs });
      throw error;
    }
  }

  /**
   * Wipes a tenant for good. Answers false where not every replica could be reached. The tenant then stays one that is
   * being deleted, and the next call, or the schedule, goes on with it.
   */
  async wipe(tenant: Tenant, actor: string, nowMs: number): Promise<boolean> {
    return (await this.#tryToWipe(tenant, actor, { retryAtMs: nowMs + wipeRetryMs })) === 'wiped';
  }

  /** As `wipe`, unless an operator's call has come between, and the tenant is not due any more. */
  wipeIfDue(tenant: Tenant, nowMs: number): Promise<WipeOutcome> {
    return this.#tryToWipe(tenant, 'service', { retryAtMs: nowMs + wipeRetryMs, dueAtMs: nowMs });
  }

  async #tryToWipe(tenant: Tenant, actor: string, when: WipeTimes): Promise<WipeOutcome> {
    try {
      if (!(await this.#wipe(tenant, when))) return 'notDue';
    } catch (error) {
      if (!isOutage(error)) throw error;
      console.error(error);
      return 'brokeOff';
    }
    const [atMs, tenantId, detail] = [Date.now(), tenant.id, tenant.name];
    await this.#directory.record({ atMs, actor, action: 'tenant.wipe', tenantId, detail });
    return 'wiped';
  }

  /** Makes an access key. Its text is in the answer and is kept nowhere. */
  async issueKey(request: {
    readonly tenant: string;
    readonly caller: Caller;
    readonly access: NewAccessKey;
    readonly nowMs: number;
  }): Promise<Routed<IssuedKey>> {
    const id = newId();
    const accessKey = { id, ...request.access, createdAtMs: request.nowMs };
    const routed = await this.administer(request.tenant, request.caller, { kind: 'createAccessKey', accessKey });
    if (routed.kind !== 'done') return routed;
    const key = this.#keys.issue({ tenant: request.tenant, keyId: id });
    return { kind: 'done', value: { accessKey, key, outcome: routed.value } };
  }

  /** Makes a key with the rights of `former`, which ends after the overlap. */
  async rotateKey(request: {
    readonly tenant: string;
    readonly caller: Caller;
    readonly former: AccessKey;
    readonly overlapMs: number;
    readonly nowMs: number;
  }): Promise<Routed<IssuedKey>> {
    const { tenant, caller, former, nowMs } = request;
    const lifeMs = former.expiresAtMs === null ? null : former.expiresAtMs - former.createdAtMs;
    const accessKey: AccessKey = {
      ...former,
      id: newId(),
      createdAtMs: nowMs,
      expiresAtMs: lifeMs === null ? null : nowMs + lifeMs,
    };
    const operation = {
      kind: 'rotateAccessKey',
      id: former.id,
      endsAtMs: nowMs + request.overlapMs,
      accessKey,
    } as const;
    const routed = await this.administer(tenant, caller, operation);
    if (routed.kind !== 'done') return routed;
    const key = this.#keys.issue({ tenant, keyId: accessKey.id });
    return { kind: 'done', value: { accessKey, key, outcome: routed.value } };
  }

  administer(tenant: string, caller: Caller, operation: Operation): Promise<Routed<Administered>> {
    const writeId = `s:${newId()}`;
    return this.#groups.route(tenant, groupCall('hedged', { kind: 'administer', writeId, caller, operation }));
  }

  async #provisionReplica(tenant: Tenant, replica: PlacedReplica): Promise<void> {
    const stub = this.#groups.stub(tenant.id, replica.number, replica.location);
    await askObject(stub, {
      kind: 'provision',
      tenant: tenant.id,
      number: replica.number,
      members: tenant.replicas,
    });
  }

  /** False: it is not due any more. */
  async #wipe(tenant: Tenant, when: WipeTimes): Promise<boolean> {
    const { id, replicas } = tenant;
    const placed = Math.max(0, ...replicas.map(({ number }) => number)) + 1;
    const known = await this.#directory.setDeleting(id, when);
    if (known === null) return false;
    const told = Math.max(known, placed);
    const nextNumber = await this.#retire(id, told);
    await this.#directory.raiseNextNumber(id, nextNumber);
    await this.#onEach(id, { from: 1, below: nextNumber }, (stub) => askObject(stub, { kind: 'wipe' }));
    this.#groups.forget(id);
    await this.#directory.remove(id);
    return true;
  }

  /**
   * Resolves with the lowest number that no object of the tenant can have. An object may know of replicas that the
   * directory was not told of.
   */
  async #retire(id: string, told: number): Promise<number> {
    let [asked, next] = [1, told];
    while (asked < next) {
      const named = await this.#onEach(id, { from: asked, below: next }, (stub) => askObject(stub, { kind: 'retire' }));
      [asked, next] = [next, Math.max(next, ...named)];
    }
    return next;
  }

  async #onEach(
    id: string,
    { from, below }: { from: number; below: number },
    ask: (stub: ReplicaStub) => Promise<number>,
  ): Promise<number[]> {
    const answers: number[] = [];
    for (let first = from; first < below; first += deletionCallsMax) {
      const count = Math.min(deletionCallsMax, below - first);
      const stubs = Array.from({ length: count }, (_, index) => this.#groups.stub(id, first + index));
      answers.push(...(await Promise.all(stubs.map(ask))));
    }
    return answers;
  }

  /**
   * Frees a name whose tenant was never finished or not wholly deleted. Answers false where the name belongs to a
   * living tenant.
   */
  async #takeBackUnfinished(name: string, nowMs: number): Promise<boolean> {
    const tenant = await this.#directory.byName(name);
    if (tenant === null) return true;
    const provisioningNow = tenant.state === 'provisioning' && nowMs - tenant.createdAtMs < 60_000;
    if (tenant.state === 'ready' || provisioningNow) return false;
    await this.#wipe(tenant, { retryAtMs: nowMs + wipeRetryMs });
    return true;
  }
}

// Makes and deletes tenants. To make one, its row in the directory comes first, so that nothing exists that the
// directory does not know; then the replicas, all at once, each with the first access key in its log; then the row says
// that it is ready, together with the audit. A tenant whose making broke off is wiped by
// the schedule.
//
// To wipe one, its row first says so. Then every object that may be a replica stops being one, and says how many
// numbers its group had given, until no object names a number that was not asked. From here on no object of the tenant
// is made, and the row says how many numbers there are. Only then are the objects wiped, so that whoever goes on after
// an interruption finds the same objects.

import type { LocationHint } from '../model/locations.ts';
import { assert } from '../base/assert.ts';
import { emptyBytes } from '../base/bytes.ts';
import { deletionCallsMax, provisioningMs, wipeRetryMs } from '../limits.ts';
import { groupLevelMax } from '../model/levels.ts';
import type { GroupAnswer } from '../api/replica-request.ts';
import type { AccessKey, Caller, Command, Operation } from '../model/store.ts';
import type { Directory, Labels, PlacedReplica, Tenant } from '../tenants/directory.ts';
import { type KeyRing, newId } from '../tenants/key-text.ts';
import { toldTermsOf } from '../tenants/plans.ts';
import { askObject, groupCall, UnknownRequestError } from './ask-replica.ts';
import type { Routed } from '../routing/attempts.ts';
import { isOutage } from './stub-calls.ts';
import type { ReplicaStub } from './env.ts';
import type { GroupRouter } from './group-router.ts';

export type Creation =
  /** `isTold`: the group knows the terms of its plan. */
  | { readonly kind: 'created'; readonly tenant: Tenant; readonly key: string; readonly isTold: boolean }
  /** Another tenant has the name. */
  | { readonly kind: 'nameTaken' }
  | { readonly kind: 'planNotFound' };
export type Administered = GroupAnswer<'administer'>;
export type NewTenant = {
  readonly name: string;
  readonly labels: Labels;
  /** Its name. */
  readonly plan: string;
  readonly placement: readonly LocationHint[];
};
export type NewAccessKey = Pick<AccessKey, 'name' | 'role' | 'prefix' | 'morePrefixes' | 'expiresAtMs'>;
export type IssuedKey = { readonly accessKey: AccessKey; readonly key: string; readonly outcome: Administered };

type Beginning = { readonly nowMs: number; readonly isFounded: boolean };
const firstAccess = { name: '', role: 'admin', prefix: emptyBytes, expiresAtMs: null } as const;

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

  /** @throws where a replica or the directory cannot be reached. The tenant is then wiped, or will be. */
  async create(request: NewTenant, actor: string, nowMs: number): Promise<Creation> {
    return (
      (await this.#create(request, actor, { nowMs, isFounded: true })) ?? (await this.#createFormer(request, actor))
    );
  }

  /** Replicas of the code before know no founding: while both versions run, a group begins with an empty log. */
  async #createFormer(request: NewTenant, actor: string): Promise<Creation> {
    const created = await this.#create(request, actor, { nowMs: Date.now(), isFounded: false });
    assert(created !== null, 'every replica can begin with an empty log');
    return created;
  }

  /** Null: a replica knows no founding, and the tenant was wiped. */
  async #create(request: NewTenant, actor: string, { nowMs, isFounded }: Beginning): Promise<Creation | null> {
    const replicas = request.placement.map((location, index): PlacedReplica => ({ number: index + 1, location }));
    const { name, labels, plan } = request;
    const row = { id: newId(), name, labels, plan, createdAtMs: nowMs, replicas, nextNumber: replicas.length + 1 };
    let added = await this.#directory.add(row);
    if (added.kind === 'nameTaken' && (await this.#takeBackUnfinished(name, nowMs)))
      added = await this.#directory.add(row);
    if (added.kind !== 'added') return added;
    const tenant: Tenant = {
      ...row,
      state: 'provisioning',
      isSuspended: false,
      wipeAtMs: null,
      isToldOfWipe: false,
      planTerms: added.planTerms,
      terms: {},
      termsVersion: 0,
    };
    try {
      const key = await (isFounded ? this.#found(tenant) : this.#begin(tenant));
      const isTold = isFounded || Object.keys(tenant.planTerms).length === 0;
      const [tenantId, detail] = [tenant.id, name];
      const audit = { atMs: nowMs, actor, action: 'tenant.create', tenantId, detail } as const;
      if (!(await this.#directory.setReady(tenantId, isTold ? tenant.termsVersion : null, audit)))
        throw new Error('the tenant was deleted while it was made');
      return { kind: 'created', tenant: { ...tenant, state: 'ready' }, key, isTold };
    } catch (error) {
      await this.#wipe(tenant, { retryAtMs: nowMs });
      if (isFounded && error instanceof UnknownRequestError) return null;
      throw error;
    }
  }

  /**
   * Makes all replicas at once, each with a log that has the group's level, its first key and its terms. Nothing that
   * follows needs the group to have a leader, so it sleeps until somebody calls. Returns the text of the key.
   */
  async #found(tenant: Tenant): Promise<string> {
    const { id, replicas: members, createdAtMs: atMs } = tenant;
    const accessKey: AccessKey = { id: newId(), ...firstAccess, createdAtMs: atMs };
    const operations: Operation[] = [{ kind: 'createAccessKey', accessKey }];
    if (Object.keys(tenant.planTerms).length > 0) operations.push({ kind: 'terms', changes: toldTermsOf(tenant) });
    const caller = { kind: 'service' } as const;
    const commands = operations.map((operation): Command => ({ writeId: `s:${newId()}`, caller, operation, atMs }));
    await this.#onPlaced(tenant, (stub, number) =>
      askObject(stub, { kind: 'found', tenant: id, number, members, level: groupLevelMax, commands }),
    );
    return this.#keys.issue({ tenant: id, keyId: accessKey.id });
  }

  /** Makes the replicas, which then elect a leader, and gives it the first key. Returns its text. */
  async #begin(tenant: Tenant): Promise<string> {
    const { id, replicas: members, createdAtMs: nowMs } = tenant;
    await this.#onPlaced(tenant, (stub, number) => askObject(stub, { kind: 'provision', tenant: id, number, members }));
    const key = await this.issueKey({ tenant: id, caller: { kind: 'service' }, access: firstAccess, nowMs });
    if (key.kind !== 'done' || key.value.outcome.kind === 'failed') throw new Error('the first key was not stored');
    return key.value.key;
  }

  async #onPlaced(tenant: Tenant, ask: (stub: ReplicaStub, number: number) => Promise<null>): Promise<void> {
    const asked = tenant.replicas.map(({ number, location }) =>
      ask(this.#groups.stub(tenant.id, number, location), number),
    );
    // A replica that is still being made while the others are wiped would have to be wiped twice.
    const failed = (await Promise.allSettled(asked)).find((each) => each.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
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
    const provisioningNow = tenant.state === 'provisioning' && nowMs - tenant.createdAtMs < provisioningMs;
    if (tenant.state === 'ready' || provisioningNow) return false;
    await this.#wipe(tenant, { retryAtMs: nowMs + wipeRetryMs });
    return true;
  }
}

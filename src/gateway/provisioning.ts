// Making and unmaking a tenant: the directory's row first, so that nothing exists that the directory does not know; then
// the replicas; then the first key. Every step can be repeated, and what broke off half-way is taken back.

import type { LocationHint } from '../api/v1/tenants.ts';
import type { AccessKey, Caller, Operation, Outcome } from '../model.ts';
import type { Directory, PlacedReplica, Tenant } from '../tenants/directory.ts';
import { type KeyRing, newId } from '../tenants/key-text.ts';
import { remoteCall, type Routed } from './attempts.ts';
import type { GroupRouter } from './group-router.ts';

export type Provisioned = { readonly tenant: Tenant; readonly key: string };
export type NewTenant = { readonly name: string; readonly placement: readonly LocationHint[] };
export type NewAccessKey = Pick<AccessKey, 'role' | 'prefix' | 'expiresAtMs'>;
export type IssuedKey = { readonly accessKey: AccessKey; readonly key: string; readonly outcome: Outcome };

export class Provisioning {
  readonly #directory: Directory;
  readonly #groups: GroupRouter;
  readonly #keys: KeyRing;

  constructor(directory: Directory, groups: GroupRouter, keys: KeyRing) {
    this.#directory = directory;
    this.#groups = groups;
    this.#keys = keys;
  }

  /** 'nameTaken': another tenant has the name. Throws where a replica or the directory cannot be reached. */
  async create(request: NewTenant, nowMs: number): Promise<Provisioned | 'nameTaken'> {
    const replicas = request.placement.map((location, place): PlacedReplica => ({ number: place + 1, location }));
    const tenant: Tenant = { id: newId(), name: request.name, state: 'provisioning', createdAtMs: nowMs, replicas };
    if (!(await this.#directory.add(tenant))) {
      if (!(await this.#takeBackUnfinished(request.name, nowMs))) return 'nameTaken';
      if (!(await this.#directory.add(tenant))) return 'nameTaken';
    }
    try {
      await Promise.all(replicas.map((replica) => this.#provisionReplica(tenant, replica)));
      const access = { role: 'admin', prefix: new Uint8Array(0), expiresAtMs: null } as const;
      const key = await this.issueKey({ tenant: tenant.id, caller: { kind: 'service' }, access, nowMs });
      if (key.kind !== 'done' || key.value.outcome.kind === 'failed') throw new Error('the first key was not stored');
      await this.#directory.setState(tenant.id, 'ready');
      await this.#directory.record({
        atMs: nowMs,
        actor: 'operator',
        action: 'tenant.create',
        tenantId: tenant.id,
        detail: tenant.name,
      });
      return { tenant: { ...tenant, state: 'ready' }, key: key.value.key };
    } catch (error) {
      await this.#wipe(tenant);
      throw error;
    }
  }

  async remove(tenant: Tenant, nowMs: number): Promise<void> {
    await this.#directory.setState(tenant.id, 'deleting');
    await this.#wipe(tenant);
    await this.#directory.record({
      atMs: nowMs,
      actor: 'operator',
      action: 'tenant.delete',
      tenantId: tenant.id,
      detail: tenant.name,
    });
  }

  /** The key's text is in the answer and nowhere else. */
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

  administer(tenant: string, caller: Caller, operation: Operation): Promise<Routed<Outcome>> {
    const writeId = `s:${newId()}`;
    return this.#groups.route<Outcome>(
      tenant,
      remoteCall('hedged', (stub, doubted) => stub.administer({ writeId, caller, operation, ...doubted })),
    );
  }

  async #provisionReplica(tenant: Tenant, replica: PlacedReplica): Promise<void> {
    const stub = this.#groups.stub(tenant.id, replica.number, replica.location);
    await stub.provision({ tenant: tenant.id, number: replica.number, members: tenant.replicas });
  }

  async #wipe(tenant: Tenant): Promise<void> {
    const known = tenant.replicas.map(({ number }) => number);
    await this.#wipeReplicas(tenant, known);
    this.#groups.forget(tenant.id);
    await this.#directory.remove(tenant.id);
  }

  /** Each may know of replicas that the directory was not told of. */
  async #wipeReplicas(tenant: Tenant, numbers: readonly number[]): Promise<void> {
    const wiped = new Set(numbers);
    const next = await Promise.all(numbers.map((number) => this.#groups.stub(tenant.id, number).wipe()));
    const highest = Math.max(0, ...next);
    const others = Array.from({ length: Math.max(0, highest - 1) }, (_, place) => place + 1);
    await Promise.all(
      others.filter((number) => !wiped.has(number)).map((number) => this.#groups.stub(tenant.id, number).wipe()),
    );
  }

  /** Frees a name whose tenant was never finished, or not wholly removed. False: the name belongs to a living tenant. */
  async #takeBackUnfinished(name: string, nowMs: number): Promise<boolean> {
    const tenant = await this.#directory.byName(name);
    if (tenant === null) return true;
    const provisioningNow = tenant.state === 'provisioning' && nowMs - tenant.createdAtMs < 60_000;
    if (tenant.state === 'ready' || provisioningNow) return false;
    await this.#wipe(tenant);
    return true;
  }
}

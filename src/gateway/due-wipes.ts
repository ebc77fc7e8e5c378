// Wipes the tenants whose time has come, and goes on with wipes that broke off. A group whose level falls below 5
// forgets that its tenant is deleted, and serves its callers again (`model/terms.ts`). So each group is told once more
// before its tenant is wiped, and the wipe is postponed where the group does not take it. A group that may have served
// its callers is told a new time, and nothing is wiped before that.

import type { Failure } from '../api/errors/failures.ts';
import { problemName } from '../api/errors/errors.ts';
import { assert } from '../base/assert.ts';
import { deletionPeriodSecondsDefault, wipeRetryMs, wipesOfRunMax } from '../limits.ts';
import { termChanges } from '../model/terms.ts';
import type { Audit, Directory, Tenant } from '../tenants/directory.ts';
import type { Provisioning } from './provisioning.ts';

/** Tells groups, and wipes tenants. */
type Groups = Pick<Provisioning, 'administer' | 'wipeIfDue'>;
/** `toldMs`: the time of the wipe that the directory has, and that the group was told. */
type Told = { readonly tenant: Tenant; readonly toldMs: number; readonly nowMs: number };

export class DueWipes {
  readonly #directory: Directory;
  readonly #provisioning: Groups;

  constructor(directory: Directory, provisioning: Groups) {
    this.#directory = directory;
    this.#provisioning = provisioning;
  }

  async run(nowMs: number): Promise<void> {
    for (const tenant of await this.#directory.dueForWipe(nowMs, wipesOfRunMax)) {
      if (tenant.state !== 'ready') await this.#provisioning.wipeIfDue(tenant, nowMs);
      else if (tenant.isToldOfWipe) await this.#wipeDeleted(tenant, nowMs);
      else await this.#tellAnew(tenant, nowMs);
    }
  }

  async #wipeDeleted(tenant: Tenant, nowMs: number): Promise<void> {
    const { id, wipeAtMs: toldMs } = tenant;
    assert(toldMs !== null, 'a deleted tenant has a time of its wipe');
    const refusal = await this.#tell(id, toldMs);
    if (refusal !== null) return this.#postpone({ tenant, toldMs, nowMs }, refusal);
    const outcome = await this.#provisioning.wipeIfDue(tenant, nowMs);
    if (outcome === 'notDue') await this.#settle(id, toldMs);
  }

  /** The group may have served its callers since it was told, so they are told as if the tenant were deleted now. */
  async #tellAnew(tenant: Tenant, nowMs: number): Promise<void> {
    const { id, wipeAtMs: formerMs } = tenant;
    assert(formerMs !== null, 'a deleted tenant has a time of its wipe');
    const toldMs = nowMs + deletionPeriodSecondsDefault * 1_000;
    if (!(await this.#directory.postponeWipe(id, { formerMs, wipeAtMs: toldMs, mayServe: true }))) return;
    const refusal = await this.#tell(id, toldMs);
    if (refusal !== null) return this.#postpone({ tenant, toldMs, nowMs }, refusal);
    if (!(await this.#directory.setWipeTold(id, toldMs))) return this.#settle(id, toldMs);
    const detail = `wiped at ${new Date(toldMs).toISOString()}, because its level fell and it may have served`;
    await this.#record(tenant, { action: 'tenant.delete', detail });
  }

  /** A group that did not answer refuses its callers as before. One that refused to be told may serve them. */
  async #postpone({ tenant, toldMs, nowMs }: Told, refusal: Failure): Promise<void> {
    const mayServe = refusal.kind !== 'timeout';
    const wipeAtMs = nowMs + wipeRetryMs;
    const isPostponed = await this.#directory.postponeWipe(tenant.id, { formerMs: toldMs, wipeAtMs, mayServe });
    if (!isPostponed) return this.#settle(tenant.id, toldMs);
    const detail = `${tenant.name}, tried again at ${new Date(wipeAtMs).toISOString()}`;
    await this.#record(tenant, { action: 'tenant.wipe', detail, refused: problemName(refusal) });
  }

  /** An operator's call came between, and may have reached the group first: the group gets what the directory has. */
  async #settle(id: string, toldMs: number): Promise<void> {
    let told: number | null = toldMs;
    for (;;) {
      const tenant = await this.#directory.byId(id);
      if (tenant === null || tenant.state !== 'ready' || tenant.wipeAtMs === told) return;
      told = tenant.wipeAtMs;
      const refusal = await this.#tell(id, told);
      if (refusal !== null) return console.error(`not told when it is wiped: ${id}, ${problemName(refusal)}`);
    }
  }

  /** null: the group refuses its callers, or does not where `wipeAtMs` is null, or there is no group any more. */
  async #tell(id: string, wipeAtMs: number | null): Promise<Failure | null> {
    const changes = termChanges({ wipeAtMs });
    const routed = await this.#provisioning.administer(id, { kind: 'service' }, { kind: 'terms', changes });
    if (routed.kind === 'unavailable') return { kind: 'timeout' };
    return routed.kind === 'done' && routed.value.kind === 'failed' ? routed.value.failure : null;
  }

  #record({ id }: Tenant, said: Pick<Audit, 'action' | 'detail' | 'refused'>): Promise<void> {
    return this.#directory.record({ atMs: Date.now(), actor: 'service', tenantId: id, ...said });
  }
}

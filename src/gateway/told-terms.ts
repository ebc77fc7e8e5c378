// Tells groups what their operator has set: what a tenant's plan says, and what was set for the tenant alone. The
// directory has it first, so what a group did not take now is told again by the schedule. A group of level 6 passes
// over what is older than what it knows, so whoever tells it may come late.

import type { Failure } from '../api/errors/failures.ts';
import { problemName } from '../api/errors/errors.ts';
import { type ChangedTerms, termsAfter } from '../api/v1/limits.ts';
import { termsRetryMs, termsToldAtOnce, termsToldMax, termsTellMs } from '../limits.ts';
import type { Directory, Tenant } from '../tenants/directory.ts';
import { type Plan, toldTermsOf } from '../tenants/plans.ts';
import type { Provisioning } from './provisioning.ts';

export class ToldTerms {
  readonly #directory: Directory;
  readonly #groups: Pick<Provisioning, 'administer'>;

  constructor(directory: Directory, groups: Pick<Provisioning, 'administer'>) {
    this.#directory = directory;
    this.#groups = groups;
  }

  /** Changes the plan of a tenant (null: it stays), or what is set for it alone, and tells its group. */
  async change(
    tenant: Tenant,
    { plan, terms }: { readonly plan: Plan | null; readonly terms: ChangedTerms },
    nowMs: number,
  ): Promise<
    { readonly kind: 'changed'; readonly tenant: Tenant } | { readonly kind: 'refused'; readonly failure: Failure }
  > {
    const { id, termsVersion: version } = tenant;
    const changed: Tenant = {
      ...tenant,
      ...(plan === null ? {} : { plan: plan.name, planTerms: plan.terms }),
      terms: termsAfter(tenant.terms, terms),
      termsVersion: version + 1,
    };
    const isSet = await this.#directory.setTerms(id, { plan: changed.plan, terms: changed.terms, version, nowMs });
    if (!isSet) return { kind: 'refused', failure: { kind: 'tenantChanging', tenant: id } };
    const failure = await this.tell(changed);
    if (failure === null) return { kind: 'changed', tenant: changed };
    // The group does not keep terms, so the directory says no more of them than before.
    if (failure.kind === 'groupLevelTooLow')
      await this.#directory.setTerms(id, { plan: tenant.plan, terms: tenant.terms, version: version + 1, nowMs });
    return { kind: 'refused', failure };
  }

  /** Null: the group has all that counts for the tenant in its log. */
  async tell(tenant: Tenant): Promise<Failure | null> {
    const { id, termsVersion } = tenant;
    const changes = toldTermsOf(tenant);
    const routed = await this.#groups.administer(id, { kind: 'service' }, { kind: 'terms', changes });
    if (routed.kind === 'absent') return { kind: 'tenantNotFound', tenant: id };
    if (routed.kind !== 'done') return { kind: 'timeout' };
    if (routed.value.kind === 'failed') return routed.value.failure;
    await this.#directory.setTermsTold(id, termsVersion);
    return null;
  }

  /** Tells the groups that are to be told by now, of one plan or of all (null). The next run goes on. */
  async run(nowMs: number, plan: string | null = null): Promise<void> {
    const due = await this.#directory.dueForTelling(nowMs, { plan, limit: termsToldMax });
    const endMs = Date.now() + termsTellMs;
    const tellNext = async (): Promise<void> => {
      for (let tenant = due.shift(); tenant !== undefined && Date.now() < endMs; tenant = due.shift()) {
        const { id, termsVersion } = tenant;
        const failure = await this.tell(tenant);
        if (failure === null) continue;
        console.error(`not told of its limits: ${id}, ${problemName(failure)}`);
        await this.#directory.postponeTelling(id, termsVersion, nowMs + termsRetryMs);
      }
    };
    await Promise.all(Array.from({ length: termsToldAtOnce }, tellNext));
  }
}

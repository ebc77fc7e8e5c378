// GET /metrics: for operators, what the replicas of all tenants told last, by plan, or those of one tenant (?tenant=).
// The directory has it, so a scrape wakes no group.

import { type Failure, failureResponse } from '../api/errors/errors.ts';
import { type Metric, metricsContentType, metricsText, type Sample } from '../api/metrics-text.ts';
import { refusedHeader } from '../api/v1/request-headers.ts';
import { metricsKnownMs } from '../limits.ts';
import { DirectoryUnavailable } from '../tenants/answered.ts';
import type { PlanGauges, PlanOpen, Reports } from '../tenants/reports.ts';
import { callSamples, durationSeries, electionSamples } from './counted-calls.ts';
import type { OperatorAccess } from './operator-access.ts';
import { directoryFailure } from './operator-calls.ts';

export type MetricsOptions = {
  readonly access: OperatorAccess;
  readonly reports: Reports;
  readonly nowMs: () => number;
};

const idForm = /^[a-z0-9]{1,32}$/;

export class OperatorMetrics {
  readonly #options: MetricsOptions;
  /** The sums of a fleet read a row of each replica, so scrapers that come together share them. */
  #known: { readonly untilMs: number; readonly text: Promise<string> } | null = null;

  constructor(options: MetricsOptions) {
    this.#options = options;
  }

  async serve(request: Request): Promise<Response> {
    if (request.method !== 'GET') return refused({ kind: 'methodNotAllowed', allow: ['GET'] });
    const refusal = refusedHeader('read', request.headers);
    if (refusal !== null) return refused(refusal);
    try {
      const allowed = await this.#options.access.allow(request.headers, 'read');
      if (allowed.kind === 'refused') return refused(allowed.failure);
      const asked = tenantIn(new URL(request.url).searchParams);
      if ('detail' in asked) return refused({ kind: 'badRequest', detail: asked.detail });
      const { tenant } = asked;
      const text = tenant === null ? await this.#ofFleet() : await this.#ofTenant(tenant);
      if (text === null) return refused({ kind: 'tenantNotFound', tenant: tenant ?? '' });
      return new Response(text, { headers: { 'content-type': metricsContentType } });
    } catch (error) {
      if (!(error instanceof DirectoryUnavailable)) throw error;
      console.error(error);
      return refused(directoryFailure(error));
    }
  }

  #ofFleet(): Promise<string> {
    const nowMs = this.#options.nowMs();
    if (this.#known !== null && nowMs < this.#known.untilMs) return this.#known.text;
    const text = this.#text(null);
    this.#known = { untilMs: nowMs + metricsKnownMs, text };
    text.catch(() => {
      this.#known = null;
    });
    return text;
  }

  async #ofTenant(tenant: string): Promise<string | null> {
    const [gauges] = await this.#options.reports.gauges(tenant);
    return gauges === undefined ? null : this.#text(tenant);
  }

  async #text(tenant: string | null): Promise<string> {
    const { reports, nowMs } = this.#options;
    const [sums, gauges, open] = await Promise.all([
      reports.sums(tenant),
      reports.gauges(tenant),
      reports.open(tenant),
    ]);
    const labelsOf = (plan: string) => (tenant === null ? { plan } : { plan, tenant });
    const counted = sums.map(({ plan, name, value }) => ({ labels: labelsOf(plan), name, value }));
    const gauge = (name: string, help: string, of: (each: PlanGauges) => number | null): Metric => {
      const samples = gauges.flatMap((each): Sample[] => {
        const value = of(each);
        return value === null ? [] : [{ labels: labelsOf(each.plan), value }];
      });
      return { name, help, type: 'gauge', samples };
    };
    const held = (name: string, help: string, of: (each: PlanOpen) => number): Metric => {
      return {
        name,
        help,
        type: 'gauge',
        samples: open.map((each) => ({ labels: labelsOf(each.plan), value: of(each) })),
      };
    };
    const ageSeconds = ({ oldestMs }: PlanGauges): number | null =>
      oldestMs === null ? null : Math.max(0, nowMs() - oldestMs) / 1_000;
    return metricsText([
      gauge('quorate_tenants', 'Tenants.', ({ tenants }) => tenants),
      gauge('quorate_tenants_suspended', 'Tenants that are suspended.', ({ suspended }) => suspended),
      gauge('quorate_tenants_deleted', 'Tenants that are deleted and not wiped yet.', ({ deleted }) => deleted),
      gauge('quorate_groups_led', 'Groups whose leader has told of itself.', ({ told }) => told),
      gauge('quorate_report_age_seconds', 'The age of the oldest report of a leader.', ageSeconds),
      {
        name: 'quorate_calls_total',
        help: 'Calls that replicas answered, by the name and the code of gRPC.',
        type: 'counter',
        samples: callSamples(counted),
      },
      {
        name: 'quorate_call_duration_seconds',
        help: 'How long replicas took to answer calls on the store.',
        type: 'histogram',
        series: durationSeries(counted),
      },
      {
        name: 'quorate_elections_won_total',
        help: 'How often a replica became leader.',
        type: 'counter',
        samples: electionSamples(counted),
      },
      gauge('quorate_store_bytes', 'The sizes of stores with their history.', ({ storeBytes }) => storeBytes),
      gauge('quorate_store_quota_bytes', 'The quotas of stores.', ({ quotaBytes }) => quotaBytes),
      gauge('quorate_log_bytes', 'The sizes of the logs of leaders.', ({ logBytes }) => logBytes),
      gauge('quorate_alarms', 'Alarms that are active.', ({ alarms }) => alarms),
      gauge('quorate_replicas_behind', 'Replicas that are silent or far behind their leader.', ({ behind }) => behind),
      gauge('quorate_replica_lag_entries', 'The most entries that a replica lacks.', ({ lag }) => lag),
      held('quorate_sessions', 'Sessions that clients hold open.', ({ sessions }) => sessions),
      held('quorate_sockets', 'Other sockets and streams that clients hold open.', ({ sockets }) => sockets),
      held('quorate_watches', 'Watches.', ({ watches }) => watches),
    ]);
  }
}

function tenantIn(query: URLSearchParams): { readonly tenant: string | null } | { readonly detail: string } {
  for (const name of query.keys())
    if (name !== 'tenant') return { detail: `unknown parameter "${name}"; known is tenant` };
  if (query.getAll('tenant').length > 1) return { detail: 'tenant is given twice' };
  const tenant = query.get('tenant');
  return tenant === null || idForm.test(tenant) ? { tenant } : { detail: 'tenant must be the id of a tenant' };
}

function refused(failure: Failure): Response {
  return failureResponse('v1', failure);
}

// Plans: named sets of limits in the directory. A tenant names its plan, and what the operator has set for the tenant
// itself goes before it. The plans that every service begins with are in this file. An operator changes them, and makes
// others, by a row in the directory (`plan-table.ts`).

import { quotaBytesMax } from '../limits.ts';
import { type LimitTerm, limitTerms, type TermChange, termChanges } from '../model/terms.ts';

export type Terms = Readonly<Partial<Record<LimitTerm, number>>>;
export type Plan = { readonly name: string; readonly terms: Terms };

/** The plan of a tenant for which none is named. It sets nothing, so what every store has counts. */
export const usualPlan = 'standard';

const mebibyte = 1_048_576;
const firstPlans: Readonly<Record<string, Terms>> = {
  free: {
    quotaBytes: 64 * mebibyte,
    keysMax: 10_000,
    leasesMax: 1_000,
    accessKeysMax: 10,
    readsPerSecond: 50,
    writesPerSecond: 20,
    bytesPerSecond: mebibyte,
    watchesMax: 100,
    connectionsMax: 50,
    waitsMax: 100,
  },
  [usualPlan]: {},
  large: { quotaBytes: quotaBytesMax },
};

export const firstPlanNames: readonly string[] = Object.keys(firstPlans);

export function isFirstPlan(name: string): boolean {
  return firstPlanNames.includes(name);
}

/** `stored`: the terms in the plan's row. Null: it has no row. */
export function planTerms(name: string, stored: string | null): Terms {
  return stored === null ? (firstPlans[name] ?? {}) : (JSON.parse(stored) as Terms);
}

/** What counts for a tenant. */
export function termsOf({ planTerms: ofPlan, terms }: { readonly planTerms: Terms; readonly terms: Terms }): Terms {
  return { ...ofPlan, ...terms };
}

/** All that a group is told of a tenant's terms: terms that nobody sets are not set there any more. */
export function toldTermsOf(
  tenant: Parameters<typeof termsOf>[0] & { readonly termsVersion: number },
): readonly TermChange[] {
  const unset = Object.fromEntries(limitTerms.map((name) => [name, null]));
  return termChanges({ ...unset, ...termsOf(tenant), version: tenant.termsVersion });
}

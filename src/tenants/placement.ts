// Where a new group's replicas go. A location hint is best effort and counts when an object is first touched.

import type { LocationHint } from '../api/v1/tenants.ts';

/** Nearest first, each list of five different places: the loss of one location costs at most one replica. */
const near: Readonly<Record<string, readonly LocationHint[]>> = {
  NA: ['enam', 'wnam', 'weur', 'sam', 'eeur'],
  SA: ['sam', 'enam', 'wnam', 'weur', 'afr'],
  EU: ['weur', 'eeur', 'enam', 'me', 'wnam'],
  AF: ['afr', 'weur', 'me', 'eeur', 'enam'],
  AS: ['apac-ne', 'apac-se', 'apac', 'oc', 'me'],
  OC: ['oc', 'apac-se', 'apac-ne', 'apac', 'wnam'],
};

/** `continent` as the platform reports it for the provisioning call; unknown where there is none (a local server). */
export function defaultPlacement(replicas: number, continent: string | undefined): readonly LocationHint[] {
  return (near[continent ?? 'EU'] ?? near['EU'] ?? []).slice(0, replicas);
}

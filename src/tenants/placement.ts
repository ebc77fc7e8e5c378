// In which locations the replicas of a new group are asked to run. A location hint is best effort, and counts only when
// an object is first reached.

import { type LocationHint, locationHints } from '../model/locations.ts';

/**
 * The nearest location comes first. Each list has five different locations, so the loss of one location costs at most
 * one replica.
 */
const near = {
  NA: ['enam', 'wnam', 'weur', 'sam', 'eeur'],
  SA: ['sam', 'enam', 'wnam', 'weur', 'afr'],
  EU: ['weur', 'eeur', 'enam', 'me', 'wnam'],
  AF: ['afr', 'weur', 'me', 'eeur', 'enam'],
  AS: ['apac-ne', 'apac-se', 'apac', 'oc', 'me'],
  OC: ['oc', 'apac-se', 'apac-ne', 'apac', 'wnam'],
} as const satisfies Readonly<Record<string, readonly LocationHint[]>>;

export type PlacementRequest = {
  readonly replicas: number;
  /** The locations that the operator asked for, for the first replicas. */
  readonly hints: readonly LocationHint[];
  /** The continent of the provisioning call (`request.cf.continent`), which a local server does not have. */
  readonly continent: unknown;
};

/** A location for each replica: first those that the operator asked for, then others near the caller. */
export function placementOf({ replicas, hints, continent }: PlacementRequest): readonly LocationHint[] {
  return [...hints, ...placesNear(continent).filter((place) => !hints.includes(place))].slice(0, replicas);
}

/** A location for one more replica: one in which the group has none, near the caller if possible. */
export function placeForAnother(taken: readonly string[], continent: unknown): LocationHint {
  const all = [...placesNear(continent), ...locationHints];
  return all.find((place) => !taken.includes(place)) ?? 'weur';
}

function placesNear(continent: unknown): readonly LocationHint[] {
  return isContinent(continent) ? near[continent] : near.EU;
}

function isContinent(continent: unknown): continent is keyof typeof near {
  return typeof continent === 'string' && Object.hasOwn(near, continent);
}

// Where a new group's replicas go. A location hint is best effort and counts when an object is first touched.

import { type LocationHint, locationHints } from '../model/locations.ts';

/** Nearest first, each list of five different places: the loss of one location costs at most one replica. */
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
  /** What the operator asked for, for the first replicas. */
  readonly hints: readonly LocationHint[];
  /** Where the provisioning call came from: `request.cf.continent`, which a local server has not. */
  readonly continent: unknown;
};

/** A place for each replica: the hints, then places near the caller that no hint names. */
export function placementOf({ replicas, hints, continent }: PlacementRequest): readonly LocationHint[] {
  return [...hints, ...placesNear(continent).filter((place) => !hints.includes(place))].slice(0, replicas);
}

/** A place for one replica more: where none of the group is, near the caller if it can be. */
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

// The locations in which the replicas of a group may be, and how many replicas a group begins with. The names of the
// locations are the platform's.

/** The locations in which the platform can be asked to run an object. */
export const locationHints = [
  'wnam',
  'enam',
  'sam',
  'weur',
  'eeur',
  'apac',
  'apac-ne',
  'apac-se',
  'oc',
  'afr',
  'me',
] as const;
export type LocationHint = (typeof locationHints)[number];

/** The jurisdictions in which the platform can be told to keep an object. */
export const jurisdictions = ['eu', 'us', 'fedramp', 'fedramp-high'] as const;
export type Jurisdiction = (typeof jurisdictions)[number];

export type Placement =
  | { readonly kind: 'automatic' }
  /** A location hint for each replica in turn. There are no more hints than replicas. */
  | { readonly kind: 'hints'; readonly hints: readonly LocationHint[] }
  | { readonly kind: 'jurisdiction'; readonly jurisdiction: Jurisdiction };

export const replicaCounts = [1, 3, 5] as const;
export type ReplicaCount = (typeof replicaCounts)[number];

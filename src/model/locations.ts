// Where the replicas of a group may be, and how many a group begins with. The names of the places are the platform's.

/** Where the platform can be asked to place an object. */
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

/** Where the platform can be told to keep an object. */
export const jurisdictions = ['eu', 'us', 'fedramp', 'fedramp-high'] as const;
export type Jurisdiction = (typeof jurisdictions)[number];

export type Placement =
  | { readonly kind: 'automatic' }
  /** A hint for each replica in turn; no more hints than replicas. */
  | { readonly kind: 'hints'; readonly hints: readonly LocationHint[] }
  | { readonly kind: 'jurisdiction'; readonly jurisdiction: Jurisdiction };

export const replicaCounts = [1, 3, 5] as const;
export type ReplicaCount = (typeof replicaCounts)[number];

// The terms of a tenant: what the operator of the service has set for it, as numbers. A group keeps them in its log
// (`terms`, since level 5), so nothing on the data path asks anybody else. A store keeps terms that it does not know.
// Only terms whose meaning is the same at every level from 5 on may decide what a command does.

/** The numbers by which terms are kept. A number never changes its meaning. */
export const termCode = {
  /** The operator has deleted the tenant, and it is wiped at this time, in milliseconds since 1970. */
  wipeAtMs: 1,
  /** For how long history is kept, in seconds, and how many revisions of it. 0: there is no such bound. */
  retentionSeconds: 2,
  retentionRevisions: 3,
  /** The quota on the store's size. */
  quotaBytes: 4,
  /** How many calls of a kind each replica takes in a second. */
  readsPerSecond: 5,
  writesPerSecond: 6,
  /** How many of them the store may hold: in groups of level 6 these decide commands (`mvcc/bounds.ts`). */
  keysMax: 7,
  leasesMax: 8,
  /** Access keys that are neither revoked, nor expired, nor rotated. */
  accessKeysMax: 9,
  /** Which change of the terms this is: in groups of level 6 an older one is passed over (`mvcc/terms.ts`). */
  version: 10,
  /** How many calls of a kind each replica takes at once of a tenant that was quiet. */
  readsBurst: 11,
  writesBurst: 12,
  /** The bytes of keys and values in calls and answers of each replica in a second. */
  bytesPerSecond: 13,
  /** How many of them each replica holds open: watches, connections, and calls that wait for a lock. */
  watchesMax: 14,
  connectionsMax: 15,
  waitsMax: 16,
} as const;
export type TermName = keyof typeof termCode;

/** What a plan may set, and what an operator may set for one tenant. */
export type LimitTerm = Exclude<TermName, 'wipeAtMs' | 'version'>;
const otherTerms: ReadonlySet<string> = new Set<TermName>(['wipeAtMs', 'version']);
export const limitTerms = Object.keys(termCode).filter((name): name is LimitTerm => !otherTerms.has(name));

/** null: the term is not set any more. */
export type TermChange = { readonly code: number; readonly value: number | null };

/** What each of these terms is to be. Terms that are not named stay as they are. */
export function termChanges(values: Readonly<Partial<Record<TermName, number | null>>>): readonly TermChange[] {
  return Object.entries(termCode).flatMap(([name, code]) => {
    const value = new Map(Object.entries(values)).get(name);
    return value === undefined ? [] : [{ code, value }];
  });
}

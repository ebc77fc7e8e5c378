// The limits of a tenant in v1: their names, the terms that they set (`model/terms.ts`), and what they may be. A plan
// has the same ones, and how much history is kept beside them.

import {
  accessKeysMax,
  boundedKeysMax,
  bytesPerSecondMax,
  bytesPerSecondMin,
  leasesMax,
  limitBurstMax,
  limitPerSecondMax,
  lockWaitersMax,
  quotaBytesDefault,
  quotaBytesMax,
  quotaBytesMin,
  retentionRevisionsDefault,
  retentionRevisionsMax,
  retentionSecondsDefault,
  retentionSecondsMax,
  retentionSecondsMin,
  watchersMax,
  watchSocketsMax,
} from '../../limits.ts';
import type { LimitTerm } from '../../model/terms.ts';
import { Fields, parseObject } from './fields.ts';
import type { Parsed } from './parsed.ts';

/** null: what every tenant has, or what its plan says. A term that is absent stays as it is. */
export type ChangedTerms = Readonly<Partial<Record<LimitTerm, number | null>>>;
type Terms = Readonly<Partial<Record<LimitTerm, number>>>;

const open = { min: 1, usual: null };

export type LimitDefinition = {
  readonly name: string;
  readonly term: LimitTerm;
  readonly min: number;
  readonly max: number;
  /** What counts where nobody has set the limit. Null: there is none. */
  readonly usual: number | null;
  readonly says: string;
};

/** Null: limitBurstSeconds of the rate. */
const burst = { min: 1, max: limitBurstMax, usual: null };
const rate = { min: 1, max: limitPerSecondMax, usual: null };

export const limitDefinitions: readonly LimitDefinition[] = [
  {
    name: 'bytes',
    term: 'quotaBytes',
    min: quotaBytesMin,
    max: quotaBytesMax,
    usual: quotaBytesDefault,
    says: 'The size of the store, with its history. Beyond it writes are 507.',
  },
  {
    name: 'keys',
    term: 'keysMax',
    min: 1,
    max: boundedKeysMax,
    usual: null,
    says: 'Keys of the store. A write that would leave more is 507.',
  },
  { name: 'leases', term: 'leasesMax', min: 1, max: leasesMax, usual: leasesMax, says: 'Leases at a time.' },
  {
    name: 'access_keys',
    term: 'accessKeysMax',
    min: 1,
    max: accessKeysMax,
    usual: accessKeysMax,
    says: 'Access keys that are neither revoked, nor expired, nor rotated.',
  },
  { name: 'reads_per_second', term: 'readsPerSecond', ...rate, says: 'On each replica. Beyond it reads are 429.' },
  { name: 'writes_per_second', term: 'writesPerSecond', ...rate, says: 'On each replica. Beyond it writes are 429.' },
  { name: 'reads_burst', term: 'readsBurst', ...burst, says: 'Reads at once after a quiet time.' },
  { name: 'writes_burst', term: 'writesBurst', ...burst, says: 'Writes at once after a quiet time.' },
  {
    name: 'bytes_per_second',
    term: 'bytesPerSecond',
    min: bytesPerSecondMin,
    max: bytesPerSecondMax,
    usual: null,
    says: 'Of keys and values in calls, answers and events, on each replica. Once more have moved, calls are 429 for a while.',
  },
  { name: 'watches', term: 'watchesMax', ...open, max: watchersMax, says: 'On each replica.' },
  {
    name: 'connections',
    term: 'connectionsMax',
    ...open,
    max: watchSocketsMax,
    says: 'WebSockets, sessions and streams on each replica. A front has one session with each.',
  },
  {
    name: 'waits',
    term: 'waitsMax',
    ...open,
    max: lockWaitersMax,
    says: 'Calls that wait for a lock, on each replica.',
  },
];

export function readLimits(body: Fields): ChangedTerms {
  const value = body.take('limits');
  if (value === undefined) return {};
  const fields = new Fields(value, 'limits', body.faults);
  const limits: { -readonly [Name in keyof ChangedTerms]: ChangedTerms[Name] } = {};
  for (const { name, term, min, max } of limitDefinitions) {
    if (fields.take(name) === null) limits[term] = null;
    else if (fields.has(name)) limits[term] = fields.integer(name, { min, max }) ?? null;
  }
  fields.finish();
  return limits;
}

/** How much history is kept. 0: there is no such bound. */
export function readRetention(body: Fields): ChangedTerms {
  const value = body.take('retention');
  if (value === undefined) return {};
  if (value === null) return { retentionSeconds: null, retentionRevisions: null };
  const fields = new Fields(value, 'retention', body.faults);
  const seconds = fields.integer('seconds', { min: 0, max: retentionSecondsMax }) ?? 0;
  const revisions = fields.integer('revisions', { min: 0, max: retentionRevisionsMax }) ?? 0;
  for (const name of ['seconds', 'revisions']) if (!fields.has(name)) fields.missing(name);
  if (seconds > 0 && seconds < retentionSecondsMin) {
    fields.faults.add(
      `retention.seconds must be 0 (no bound), or from ${retentionSecondsMin} to ${retentionSecondsMax}`,
    );
  }
  fields.finish();
  return { retentionSeconds: seconds, retentionRevisions: revisions };
}

/** What a plan sets. A limit that is absent or null is what every tenant has. */
export function parsePlan(body: Uint8Array): Parsed<Terms> {
  return parseObject(body, (fields) => termsAfter({}, { ...readLimits(fields), ...readRetention(fields) }));
}

export function termsAfter(terms: Terms, changed: ChangedTerms): Terms {
  const all = Object.entries({ ...terms, ...changed });
  return Object.fromEntries(all.filter(([, value]) => value !== null));
}

/** All limits, as they count. */
export function limitsJson(terms: Terms): Record<string, number | null> {
  return Object.fromEntries(limitDefinitions.map(({ name, term, usual }) => [name, terms[term] ?? usual]));
}

/** Those that are set, under the names that the API has for them. */
export function setLimitsJson(terms: Terms): Record<string, number> {
  return Object.fromEntries(
    limitDefinitions.flatMap(({ name, term }) => (terms[term] === undefined ? [] : [[name, terms[term]]])),
  );
}

export function retentionJson({ retentionSeconds, retentionRevisions }: Terms): Record<string, number> {
  const seconds = retentionSeconds ?? retentionSecondsDefault;
  return { seconds, revisions: retentionRevisions ?? retentionRevisionsDefault };
}

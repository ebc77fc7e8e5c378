// Conditional requests (RFC 9110, section 13), on entity tags that are mod_revisions. The conditions of a write become
// compares of a transaction, so that they are decided together with the write. The tag of a place in a queue is its
// fencing token.

import { entityTagsMax } from '../../limits.ts';
import { emptyBytes } from '../../base/bytes.ts';
import type { Compare } from '../../model/store.ts';
import { compareResult } from '../../model/store.ts';
import type { RequestHeaders, WriteCondition } from '../contract.ts';
import type { Parsed } from './parsed.ts';
import { bad, parsed } from './parsed.ts';

export type EntityTags = { readonly kind: 'any' } | { readonly kind: 'tags'; readonly revisions: readonly number[] };

/** The revision of a tag that this service did not make. No key is at this revision. */
const foreign = -1;

const tagForm = /\s*(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(,|$)/y;

export function entityTag(modRevision: number): string {
  return `"${modRevision}"`;
}

/**
 * `weak`: a read's If-None-Match compares weakly (RFC 9110, section 13.1.2). A write compares strongly, and refuses
 * weak tags.
 */
export function parseEntityTags(name: string, header: string, weak: 'taken' | 'refused'): Parsed<EntityTags> {
  if (header.trim() === '*') return parsed({ kind: 'any' });
  const revisions: number[] = [];
  tagForm.lastIndex = 0;
  for (let separator = ','; separator === ',';) {
    const match = tagForm.exec(header);
    if (match === null) return bad(`${name} must be * or a list of entity tags such as "17"`);
    if (match[1] !== undefined && weak === 'refused') return bad(`${name} takes no weak entity tags: leave out the W/`);
    const tag = match[2] ?? '';
    revisions.push(/^[1-9][0-9]{0,14}$/.test(tag) ? Number(tag) : foreign);
    if (revisions.length > entityTagsMax) return bad(`${name} takes at most ${entityTagsMax} entity tags`);
    separator = match[3] ?? '';
  }
  return parsed({ kind: 'tags', revisions });
}

/** What a tag stands for: the revision of a key, or the fencing token of a place. */
type Tagged = 'mod' | 'create';

export function parseWriteCondition(headers: RequestHeaders, key: Uint8Array): Parsed<WriteCondition | null> {
  const match = headers.get('if-match');
  const noneMatch = headers.get('if-none-match');
  if (match !== null && noneMatch !== null)
    return bad('If-Match and If-None-Match exclude each other: send one of them');
  if (match !== null) {
    const tags = parseEntityTags('If-Match', match, 'refused');
    return tags.kind === 'bad' ? tags : parsed(matches(key, tags.value, 'mod'));
  }
  if (noneMatch === null) return parsed(null);
  const tags = parseEntityTags('If-None-Match', noneMatch, 'refused');
  return tags.kind === 'bad' ? tags : parsed(negate(matches(key, tags.value, 'mod')));
}

function negate({ compare, holdsWhen }: WriteCondition): WriteCondition {
  return { compare, holdsWhen: !holdsWhen };
}

/** The condition on the release of a place: the place must exist, with one of the fencing tokens of If-Match. */
export function parsePlaceCondition(headers: RequestHeaders, place: Uint8Array): Parsed<WriteCondition> {
  const match = headers.get('if-match');
  if (match === null) return parsed(matches(place, { kind: 'any' }, 'create'));
  const tags = parseEntityTags('If-Match', match, 'refused');
  return tags.kind === 'bad' ? tags : parsed(matches(place, tags.value, 'create'));
}

/** Compares are joined by "and", so "one of the tags matches" is written as "not all of the tags differ". */
function matches(key: Uint8Array, tags: EntityTags, target: Tagged): WriteCondition {
  const compare = (result: number, operand: number): Compare => ({
    key,
    rangeEnd: emptyBytes,
    result,
    target,
    operand,
  });
  if (tags.kind === 'any') return { compare: [compare(compareResult.greater, 0)], holdsWhen: true };
  return { compare: tags.revisions.map((each) => compare(compareResult.notEqual, each)), holdsWhen: false };
}

/** Whether the If-None-Match of a read names the revision that the reader already has. */
export function isUnchanged(tags: EntityTags, modRevision: number): boolean {
  return tags.kind === 'any' || tags.revisions.includes(modRevision);
}

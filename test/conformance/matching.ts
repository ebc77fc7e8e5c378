// Compares a JSON value with its recording, exactly but for placeholders and the two allowances. Captures the values
// that the recording names. Returns the first difference, or null.

import { unreachable } from '../../src/base/assert.ts';
import { allowHeaderIdentity, allowOlderErrorMembers } from './allowances.ts';
import { isList, isObject, type Json, type JsonObject } from './conversation.ts';
import { expandRepeats, isOfType, parsePlaceholder, type Captures } from './placeholders.ts';

const shownCharactersMax = 300;

/** The body of a unary answer. */
export function matchAnswerBody(recorded: Json, actual: Json, captures: Captures): string | null {
  const allowed = allowHeaderIdentity(allowOlderErrorMembers(recorded, actual));
  if (allowed.kind === 'refused') return allowed.reason;
  return matchValue(recorded, allowed.value, { path: '', beside: null, captures });
}

/** One message of a stream: `{"result": …}` or `{"error": …}`. The allowances hold one level deeper. */
export function matchMessage(recorded: Json, actual: Json, captures: Captures): string | null {
  if (!isObject(recorded) || !isObject(actual)) {
    return matchValue(recorded, actual, { path: '', beside: null, captures });
  }
  let eased = actual;
  const result = actual['result'];
  if (result !== undefined) {
    const allowed = allowHeaderIdentity(result);
    if (allowed.kind === 'refused') return `result.${allowed.reason}`;
    eased = { ...eased, result: allowed.value };
  }
  const error = actual['error'];
  if (error !== undefined) eased = { ...eased, error: allowOlderErrorMembers(recorded['error'] ?? null, error) };
  return matchValue(recorded, eased, { path: '', beside: null, captures });
}

/** An event, or another value that has neither header nor error of its own. */
export function matchPlain(recorded: Json, actual: Json, captures: Captures): string | null {
  return matchValue(recorded, actual, { path: '', beside: null, captures });
}

type Place = { readonly path: string; readonly beside: Json; readonly captures: Captures };

function matchValue(recorded: Json, actual: Json | undefined, place: Place): string | null {
  if (actual === undefined) return differs(place, recorded, 'nothing');
  if (typeof recorded === 'string') return matchText(recorded, actual, place);
  if (isList(recorded)) {
    return isList(actual) ? matchInOrder(recorded, actual, place) : differs(place, recorded, actual);
  }
  if (isObject(recorded)) return matchObject(recorded, actual, place);
  return recorded === actual ? null : differs(place, recorded, actual);
}

function matchText(recorded: string, actual: Json, place: Place): string | null {
  const placeholder = parsePlaceholder(recorded);
  if (placeholder === null) return expandRepeats(recorded) === actual ? null : differs(place, recorded, actual);
  switch (placeholder.kind) {
    case 'typed':
      if (!isOfType(placeholder.type, actual, place.beside)) return differs(place, recorded, actual);
      if (placeholder.name !== null) place.captures.set(placeholder.name, actual);
      return null;
    case 'captured': {
      const captured = place.captures.get(placeholder.name);
      if (captured === undefined) return `${place.path}: ${recorded} was never captured`;
      return sameJson(captured, actual) ? null : differs(place, captured, actual);
    }
    default:
      return unreachable(placeholder);
  }
}

function matchObject(recorded: JsonObject, actual: Json, place: Place): string | null {
  if ('$unordered' in recorded) return matchUnordered(recorded['$unordered'] ?? null, actual, place);
  if ('$contains' in recorded) return matchContains(recorded['$contains'] ?? null, actual, place);
  if (!isObject(actual)) return differs(place, recorded, actual);
  for (const [name, value] of Object.entries(recorded)) {
    const difference = matchValue(value, actual[name], { ...place, path: `${place.path}.${name}`, beside: actual });
    if (difference !== null) return difference;
  }
  // etcd leaves defaults out, and its clients may rely on that, so an extra member is a difference.
  const extra = Object.keys(actual).find((name) => !(name in recorded));
  return extra === undefined
    ? null
    : differs({ ...place, path: `${place.path}.${extra}` }, 'nothing', actual[extra] ?? null);
}

function matchInOrder(recorded: readonly Json[], actual: readonly Json[], place: Place): string | null {
  for (const [index, value] of recorded.entries()) {
    const difference = matchValue(value, actual[index], { ...place, path: `${place.path}[${index}]` });
    if (difference !== null) return difference;
  }
  if (actual.length > recorded.length) {
    const path = `${place.path}[${recorded.length}]`;
    return differs({ ...place, path }, 'nothing', actual[recorded.length] ?? null);
  }
  return null;
}

/** Leases, keys of a lease and alarms come from a Go map: the answer has exactly these elements, in any order. */
function matchUnordered(recorded: Json, actual: Json, place: Place): string | null {
  if (!isList(recorded) || !isList(actual)) return differs(place, recorded, actual);
  if (recorded.length !== actual.length) return differs(place, recorded, actual);
  return assign(recorded, actual, place) ? null : differs(place, recorded, actual);
}

/**
 * The number of members of a cluster is not part of a recording: the answer has an element for each of these, and may
 * have others.
 */
function matchContains(recorded: Json, actual: Json, place: Place): string | null {
  if (!isList(recorded) || !isList(actual)) return differs(place, recorded, actual);
  return assign(recorded, actual, place) ? null : differs(place, recorded, actual);
}

/**
 * Gives each recorded element an actual element of its own, and goes back where a choice leaves a later element without
 * one.
 */
function assign(recorded: readonly Json[], actual: readonly Json[], place: Place): boolean {
  const [first, ...others] = recorded;
  if (first === undefined) return true;
  for (const [index, candidate] of actual.entries()) {
    const captures = new Map(place.captures);
    if (matchValue(first, candidate, { ...place, captures }) !== null) continue;
    if (!assign(others, actual.toSpliced(index, 1), { ...place, captures })) continue;
    for (const [name, value] of captures) place.captures.set(name, value);
    return true;
  }
  return false;
}

function sameJson(left: Json, right: Json): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}

function differs(place: Place, recorded: Json, actual: Json): string {
  return `${place.path === '' ? 'the whole' : place.path.replace(/^\./, '')}: recorded ${shown(recorded)}, came ${shown(actual)}`;
}

export function shown(value: Json): string {
  const text = JSON.stringify(value);
  return text.length > shownCharactersMax ? `${text.slice(0, shownCharactersMax)}… (${text.length} characters)` : text;
}

// Percent-encoding and query parameters. Keys are bytes, so no value becomes text on its way. A parameter that a call
// does not know, or that comes twice, is refused by its name.

import { emptyBytes, prefixEnd, textOf, utf8 } from '../../base/bytes.ts';
import { keyBytesMax, rangeBoundBytesMax } from '../../limits.ts';
import type { KeyRange, StoreFailure } from '../../model/store.ts';
import { parseInt64 } from '../json/integer.ts';
import type { Parsed } from './parsed.ts';
import { bad, parsed } from './parsed.ts';

const percent = 0x25;
const plus = 0x2b;
const space = 0x20;

/** The bytes that `text` stands for; null where a "%" is not followed by two hex digits. */
export function percentDecode(text: string, plusIs: 'plus' | 'space'): Uint8Array | null {
  const encoded = utf8(text);
  if (!text.includes('%') && (plusIs === 'plus' || !text.includes('+'))) return encoded;
  let length = 0;
  for (let position = 0; position < encoded.byteLength; position++) {
    let byte = encoded[position] ?? 0;
    if (byte === percent) {
      byte = hexDigit(encoded[position + 1]) * 16 + hexDigit(encoded[position + 2]);
      if (Number.isNaN(byte)) return null;
      position += 2;
    } else if (byte === plus && plusIs === 'space') {
      byte = space;
    }
    encoded[length++] = byte;
  }
  return encoded.subarray(0, length);
}

function hexDigit(code: number | undefined): number {
  if (code === undefined) return Number.NaN;
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : Number.NaN;
}

export type QueryParameters = ReadonlyMap<string, Uint8Array>;

export function parseQuery(query: string, known: readonly string[]): Parsed<QueryParameters> {
  const values = new Map<string, Uint8Array>();
  for (const pair of query.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const nameBytes = percentDecode(equals < 0 ? pair : pair.slice(0, equals), 'space');
    const name = nameBytes === null ? null : textOf(nameBytes);
    const value = percentDecode(equals < 0 ? '' : pair.slice(equals + 1), 'space');
    if (name === null || value === null) {
      return bad(`bad percent-encoding in the query: "${pair.slice(0, 64)}"; "%" needs two digits of hex after it`);
    }
    if (!known.includes(name)) {
      const taken = known.length === 0 ? 'this call takes none' : `this call takes ${known.join(', ')}`;
      return bad(`unknown query parameter "${name.slice(0, 64)}"; ${taken}`);
    }
    if (values.has(name)) return bad(`the query parameter "${name}" comes twice`);
    values.set(name, value);
  }
  return parsed(values);
}

/** Reads a whole number from `min` to `max`; null where the parameter is absent. */
export function integerParameter(
  query: QueryParameters,
  name: string,
  { min, max }: { readonly min: number; readonly max: number },
): Parsed<number | null> {
  const bytes = query.get(name);
  if (bytes === undefined) return parsed(null);
  const text = textOf(bytes) ?? '';
  const value = /^[0-9]+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return parsed(value);
  return bad(`${name} must be a whole number from ${min} to ${max}`);
}

export function revisionParameter(query: QueryParameters, name: string): Parsed<number | null> {
  return integerParameter(query, name, { min: 1, max: Number.MAX_SAFE_INTEGER });
}

/** Reads any integer of 64 bits, in decimal; null where the parameter is absent. */
export function leaseParameter(query: QueryParameters): Parsed<bigint | null> {
  const bytes = query.get('lease');
  if (bytes === undefined) return parsed(null);
  const lease = parseLease(textOf(bytes) ?? '');
  return lease === null ? bad('lease must be a decimal integer of 64 bits') : parsed(lease);
}

export function parseLease(text: string): bigint | null {
  const value = /^-?[0-9]+$/.test(text) ? parseInt64(text) : null;
  return value === null ? null : BigInt(value);
}

/** Reads one of `choices`; the first of them where the parameter is absent. */
export function choiceParameter<Choice extends string>(
  query: QueryParameters,
  name: string,
  choices: readonly [Choice, ...Choice[]],
): Parsed<Choice> {
  const bytes = query.get(name);
  if (bytes === undefined) return parsed(choices[0]);
  const text = textOf(bytes);
  const choice = choices.find((known) => known === text);
  return choice === undefined ? bad(`${name} must be ${choices.join(' or ')}`) : parsed(choice);
}

/** The values of a flag. A flag without a value, as in `?count_only`, is true. */
const flagTexts: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['1', true],
  ['', true],
  ['false', false],
  ['0', false],
]);

export function flagParameter(query: QueryParameters, name: string, absent = false): Parsed<boolean> {
  const bytes = query.get(name);
  if (bytes === undefined) return parsed(absent);
  const flag = flagTexts.get(textOf(bytes) ?? '?');
  return flag === undefined ? bad(`${name} must be true or false, 1 or 0, or stand alone for true`) : parsed(flag);
}

const lowestKey = new Uint8Array([0]);
/** As the end of a range: the range has no end (as in etcd). */
const noEnd = lowestKey;

export const everyKey: KeyRange = { key: lowestKey, rangeEnd: noEnd };

/** How a range is given in a query or in a JSON object. */
export type RangeChoice = {
  readonly key?: Uint8Array | undefined;
  readonly prefix?: Uint8Array | undefined;
  readonly start?: Uint8Array | undefined;
  readonly end?: Uint8Array | undefined;
};

/**
 * null where no range was given. An empty `start` is the first key, and an empty `end` means that the range has no end.
 */
export function chooseRange({ key, prefix, start, end }: RangeChoice): Parsed<KeyRange | null> {
  const given = [key, prefix, start ?? end].filter((choice) => choice !== undefined).length;
  if (given > 1) return bad('give one of key, prefix, and start with end');
  if (key !== undefined) {
    const failure = keyFailure(key);
    return failure === null ? parsed({ key, rangeEnd: emptyBytes }) : { kind: 'bad', failure };
  }
  const tooLong =
    boundFault('prefix', prefix, keyBytesMax) ??
    boundFault('start', start, rangeBoundBytesMax) ??
    boundFault('end', end, rangeBoundBytesMax);
  if (tooLong !== null) return bad(tooLong);
  if (prefix !== undefined) return parsed(prefixRange(prefix));
  if (start === undefined && end === undefined) return parsed(null);
  if (end?.byteLength === 1 && end[0] === 0) return bad('end must not be the byte 0: no key lies before it');
  return parsed({
    key: start === undefined || start.byteLength === 0 ? lowestKey : start,
    rangeEnd: end === undefined || end.byteLength === 0 ? noEnd : end,
  });
}

/** Why no key can have this name; null: a key can. */
export function keyFailure(key: Uint8Array): StoreFailure | null {
  const bytes = key.byteLength;
  if (bytes === 0) return { kind: 'keyNotProvided' };
  return bytes > keyBytesMax ? { kind: 'keyTooLong', bytes } : null;
}

function boundFault(name: string, bound: Uint8Array | undefined, bytesMax: number): string | null {
  const bytes = bound?.byteLength ?? 0;
  return bytes > bytesMax ? `${name} has ${bytes} bytes; at most ${bytesMax}` : null;
}

function prefixRange(prefix: Uint8Array): KeyRange {
  return prefix.byteLength === 0 ? everyKey : { key: prefix, rangeEnd: prefixEnd(prefix) ?? noEnd };
}

export const rangeParameterNames = ['prefix', 'start', 'end'] as const;

export function rangeParameters(query: QueryParameters): Parsed<KeyRange | null> {
  return chooseRange({
    key: query.get('key'),
    prefix: query.get('prefix'),
    start: query.get('start'),
    end: query.get('end'),
  });
}

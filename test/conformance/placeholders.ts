// The placeholders of a recording. A placeholder stands for a value that differs from run to run, or for a long text.

import { isList, isObject, type Json } from './conversation.ts';

/** The values captured so far, by name. */
export type Captures = Map<string, Json>;

const repeated = /\$\{([^}*:]+)\*(\d+)\}/g;
const named = /\$\{([A-Za-z_][A-Za-z_0-9]*)\}/g;

/**
 * Fills in every string of a value that is sent. @throws where a name was never captured, because the replay has gone
 * wrong before.
 */
export function fillIn(value: Json, captures: Captures): Json {
  if (typeof value === 'string') return fillInText(value, captures);
  if (isList(value)) return value.map((element) => fillIn(element, captures));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, fillIn(member, captures)]));
}

export function fillInText(text: string, captures: Captures): string {
  return expandRepeats(text).replaceAll(named, (_whole, name: string) => {
    const value = captures.get(name);
    if (value === undefined) throw new UnknownCapture(name);
    return typeof value === 'string' ? value : JSON.stringify(value);
  });
}

export class UnknownCapture extends Error {
  override readonly name = 'UnknownCapture';

  constructor(captured: string) {
    super(`\${${captured}} was not captured: the answer that should have brought it did not match`);
  }
}

/** Writes `${unit*n}` out as `unit` repeated n times. */
export function expandRepeats(text: string): string {
  return text.replaceAll(repeated, (_whole, unit: string, times: string) => unit.repeat(Number(times)));
}

export type Placeholder =
  | { readonly kind: 'typed'; readonly name: string | null; readonly type: string }
  | { readonly kind: 'captured'; readonly name: string };

/** What a recorded string stands for if the whole of it is a placeholder. Null: it is plain text. */
export function parsePlaceholder(text: string): Placeholder | null {
  const found = /^\$\{([A-Za-z_][A-Za-z_0-9]*)?(?::([a-z0-9]+))?\}$/.exec(text);
  if (found === null) return null;
  const [, name, type] = found;
  if (type !== undefined) return { kind: 'typed', name: name ?? null, type };
  return name === undefined ? null : { kind: 'captured', name };
}

/** Whether a value has the type of a placeholder. `beside` is the object that holds the value. */
export function isOfType(type: string, value: Json, beside: Json): boolean {
  switch (type) {
    case 'int64':
      return isDecimal(value) && value !== '0' && within(value, -(2n ** 63n), 2n ** 63n - 1n);
    case 'uint64':
      return isDecimal(value) && value !== '0' && within(value, 0n, 2n ** 64n - 1n);
    case 'number':
      return typeof value === 'number';
    case 'string':
      return typeof value === 'string' && value !== '';
    case 'strings':
      return (
        isList(value) && value.length > 0 && value.every((element) => typeof element === 'string' && element !== '')
      );
    case 'bytes':
      return typeof value === 'string' && value !== '' && isStandardBase64(value);
    // 3.7.1 writes the version of a cluster and of its storage as 3.7.0, and that of a downgrade's target as 3.6.0.
    case 'version':
      return typeof value === 'string' && /^3\.[67](\.\d+)?$/.test(value);
    case 'ttl': {
      const granted = isObject(beside) ? beside['grantedTTL'] : undefined;
      return isDecimal(value) && isDecimal(granted) && within(value, 0n, BigInt(granted));
    }
    default:
      throw new Error(`the placeholder type ${type} is not known`);
  }
}

/** The text of an integer as etcd writes it: no plus sign, no zeros in front. */
export function isDecimal(value: Json | undefined): value is string {
  return typeof value === 'string' && /^(0|-?[1-9]\d*)$/.test(value);
}

export function isStandardBase64(text: string): boolean {
  return /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text);
}

function within(text: string, low: bigint, high: bigint): boolean {
  const integer = BigInt(text);
  return integer >= low && integer <= high;
}

// A whole JSON document as a tree, for v1. A name that comes twice is refused. Numbers stay text, so that integers of
// 64 bits lose nothing, and the depth is bounded, because the code that reads the tree is recursive.

import { jsonTreeDepthMax } from '../../limits.ts';
import { byteString, Scanner, textOfByteString } from './scanner.ts';

export type JsonNumber = { readonly kind: 'number'; readonly text: string };
export type JsonObject = { readonly kind: 'object'; readonly members: ReadonlyMap<string, JsonValue> };
export type JsonArray = { readonly kind: 'array'; readonly items: readonly JsonValue[] };
export type JsonValue = null | boolean | string | JsonNumber | JsonObject | JsonArray;

export type ParsedJson =
  | { readonly kind: 'parsed'; readonly value: JsonValue }
  | { readonly kind: 'malformed'; readonly detail: string };

export function parseJson(bytes: Uint8Array): ParsedJson {
  const scanner = new Scanner(byteString(bytes));
  const value = readValue(scanner);
  if (value !== undefined && !scanner.atEnd()) scanner.fail('more follows after the value');
  if (value === undefined || scanner.fault !== null) {
    return { kind: 'malformed', detail: scanner.fault ?? 'no value' };
  }
  return { kind: 'parsed', value };
}

/** undefined where the document is not valid; the scanner then has the fault. */
function readValue(scanner: Scanner): JsonValue | undefined {
  switch (scanner.peek()) {
    case 0x7b:
      return readObject(scanner);
    case 0x5b:
      return readArray(scanner);
    case 0x22:
      return scanner.readText() ?? undefined;
    case 0x74:
    case 0x66:
      return scanner.readBoolean() ?? undefined;
    case 0x6e:
      if (scanner.takeNull()) return null;
      scanner.fail('expected a value');
      return undefined;
    default: {
      const text = scanner.readNumber();
      return text === null ? undefined : { kind: 'number', text };
    }
  }
}

function enters(scanner: Scanner, open: string): boolean {
  if (!scanner.enter(open)) return false;
  if (scanner.depth <= jsonTreeDepthMax) return true;
  scanner.fail(`nested deeper than ${jsonTreeDepthMax} levels`);
  return false;
}

function readObject(scanner: Scanner): JsonObject | undefined {
  if (!enters(scanner, '{')) return undefined;
  const members = new Map<string, JsonValue>();
  if (scanner.leaves('}')) return { kind: 'object', members };
  for (;;) {
    const raw = scanner.readName();
    if (raw === null) return undefined;
    const name = textOfByteString(raw);
    const value = readValue(scanner);
    if (value === undefined) return undefined;
    if (members.has(name)) {
      scanner.fail(`"${name}" comes twice in one object`);
      return undefined;
    }
    members.set(name, value);
    const more = scanner.more('}');
    if (more === null) return undefined;
    if (!more) return { kind: 'object', members };
  }
}

function readArray(scanner: Scanner): JsonArray | undefined {
  if (!enters(scanner, '[')) return undefined;
  const items: JsonValue[] = [];
  if (scanner.leaves(']')) return { kind: 'array', items };
  for (;;) {
    const value = readValue(scanner);
    if (value === undefined) return undefined;
    items.push(value);
    const more = scanner.more(']');
    if (more === null) return undefined;
    if (!more) return { kind: 'array', items };
  }
}

// Reads the members of a JSON object by name, strictly. A wrong type, a value out of bounds and a member that no call
// reads are faults, which name the path of the member. Faults are kept and not thrown, and the first one is told.

import { utf8 } from '../../base/bytes.ts';
import { decodeBase64 } from '../json/base64.ts';
import { parseInt64 } from '../json/integer.ts';
import type { JsonValue } from '../json/value.ts';
import { parseJson } from '../json/value.ts';
import { bad, parsed } from './parsed.ts';
import type { Parsed } from './parsed.ts';

class Faults {
  #wrong: string | null = null;
  #missing: string | null = null;

  /** A wrong field goes before a missing one: where a name is misspelt there are both, and the wrong one says more. */
  get first(): string | null {
    return this.#wrong ?? this.#missing;
  }

  add(detail: string): void {
    this.#wrong ??= detail;
  }

  addMissing(detail: string): void {
    this.#missing ??= detail;
  }
}

/** How much is told of a name that is not known. */
const unknownCharactersMax = 128;

const noMembers: ReadonlyMap<string, JsonValue> = new Map();

export class Fields {
  readonly #members: ReadonlyMap<string, JsonValue>;
  readonly #at: string;
  readonly #known = new Set<string>();
  readonly faults: Faults;

  /** `at` is the path of the object, for messages; empty for the body itself. */
  constructor(value: JsonValue | undefined, at: string, faults: Faults) {
    this.#at = at;
    this.faults = faults;
    if (value !== null && typeof value === 'object' && value.kind === 'object') {
      this.#members = value.members;
    } else {
      this.#members = noMembers;
      faults.add(`${at === '' ? 'the body' : at} must be an object`);
    }
  }

  pathTo(name: string): string {
    return this.#at === '' ? name : `${this.#at}.${name}`;
  }

  has(name: string): boolean {
    return this.#members.has(name);
  }

  take(name: string): JsonValue | undefined {
    this.#known.add(name);
    return this.#members.get(name);
  }

  text(name: string): string | undefined {
    const value = this.take(name);
    if (value === undefined || typeof value === 'string') return value;
    this.faults.add(`${this.pathTo(name)} must be a string`);
    return undefined;
  }

  /** Reads a string as UTF-8, or bytes under `<name>_base64`. */
  bytes(name: string): Uint8Array | undefined {
    const text = this.text(name);
    const encoded = this.text(`${name}_base64`);
    if (encoded === undefined) return text === undefined ? undefined : utf8(text);
    if (text !== undefined) this.faults.add(`${this.pathTo(name)} and ${name}_base64 exclude each other`);
    const bytes = decodeBase64(encoded);
    if (bytes !== null) return bytes;
    this.faults.add(`${this.pathTo(`${name}_base64`)} must be base64`);
    return undefined;
  }

  /** Reads a list of strings as UTF-8, or of bytes under `<name>_base64`. */
  bytesList(name: string): readonly Uint8Array[] | undefined {
    const texts = this.items(name);
    const encoded = this.items(`${name}_base64`);
    if (texts !== undefined && encoded !== undefined) {
      this.faults.add(`${this.pathTo(name)} and ${name}_base64 exclude each other`);
    }
    const items = texts ?? encoded;
    if (items === undefined) return undefined;
    const bytes: Uint8Array[] = [];
    for (const item of items) {
      const each = typeof item !== 'string' ? null : texts === undefined ? decodeBase64(item) : utf8(item);
      if (each !== null) bytes.push(each);
      else
        this.faults.add(
          `${this.pathTo(texts === undefined ? `${name}_base64` : name)} must be a list of ${texts === undefined ? 'base64' : 'strings'}`,
        );
    }
    return bytes;
  }

  boolean(name: string): boolean {
    const value = this.take(name);
    if (value === undefined || typeof value === 'boolean') return value ?? false;
    this.faults.add(`${this.pathTo(name)} must be true or false`);
    return false;
  }

  integer(name: string, { min, max }: { readonly min: number; readonly max: number }): number | undefined {
    const value = this.take(name);
    if (value === undefined) return undefined;
    const integer =
      value !== null && typeof value === 'object' && value.kind === 'number' ? parseInt64(value.text) : null;
    if (typeof integer === 'number' && integer >= min && integer <= max) return integer;
    this.faults.add(`${this.pathTo(name)} must be a whole number from ${min} to ${max}`);
    return undefined;
  }

  /**
   * Reads an integer of 64 bits. It may be a string, because many readers of JSON lose the low bits of a large number.
   */
  int64(name: string): bigint | undefined {
    const value = this.take(name);
    if (value === undefined) return undefined;
    const text = value !== null && typeof value === 'object' && value.kind === 'number' ? value.text : value;
    const integer = typeof text === 'string' ? parseInt64(text) : null;
    if (integer !== null) return BigInt(integer);
    this.faults.add(`${this.pathTo(name)} must be an integer of 64 bits, as a number or a string`);
    return undefined;
  }

  items(name: string): readonly JsonValue[] | undefined {
    const value = this.take(name);
    if (value === undefined) return undefined;
    if (value !== null && typeof value === 'object' && value.kind === 'array') return value.items;
    this.faults.add(`${this.pathTo(name)} must be a list`);
    return undefined;
  }

  choice<Choice extends string>(name: string, choices: readonly Choice[]): Choice | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const choice = choices.find((known) => known === text);
    if (choice === undefined) this.faults.add(`${this.pathTo(name)} must be one of ${choices.join(', ')}`);
    return choice;
  }

  missing(name: string): void {
    this.faults.addMissing(`${this.pathTo(name)} is missing`);
  }

  /** Says that the call knows these names, whether or not it reads them. */
  knows(names: readonly string[]): void {
    for (const name of names) this.#known.add(name);
  }

  get known(): readonly string[] {
    return [...this.#known];
  }

  /** Makes a fault of each member that the call does not know. It is called last. */
  finish(): void {
    for (const name of this.#members.keys()) {
      if (this.#known.has(name)) continue;
      const known = this.#known.size === 0 ? 'no field is taken here' : `known are ${this.known.join(', ')}`;
      this.faults.add(`unknown field "${this.pathTo(name).slice(0, unknownCharactersMax)}"; ${known}`);
    }
  }
}

/** Parses a body that must be one object. The result of `read` counts only where no fault was found. */
export function parseObject<Value>(body: Uint8Array, read: (fields: Fields) => Value): Parsed<Value> {
  if (isBlank(body)) return bad(emptyBodyDetail(read));
  const json = parseJson(body);
  if (json.kind === 'malformed') return bad(`the body is not JSON: ${json.detail}`);
  const faults = new Faults();
  const fields = new Fields(json.value, '', faults);
  const value = read(fields);
  fields.finish();
  return faults.first === null ? parsed(value) : bad(faults.first);
}

function isBlank(body: Uint8Array): boolean {
  return body.every((byte) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d));
}

function emptyBodyDetail(read: (fields: Fields) => unknown): string {
  const fields = new Fields({ kind: 'object', members: noMembers }, '', new Faults());
  read(fields);
  const known = fields.known.length === 0 ? '' : `, with ${fields.known.join(', ')}`;
  return `the body is empty: send a JSON object${known}`;
}

// Protobuf messages over JSON: descriptors as data, and the one reader that follows them. It reads as Go's protojson
// does with unknown fields discarded: a field has either of its two names, null counts as absent, and a field that
// comes twice or two members of a one-of are refused.

import type { Scanner } from '../json/scanner.ts';
import { numberInQuotes, parseInt32, parseInt64, parseUint64 } from '../json/integer.ts';

/** Reads one value into the message. Answers false where it is not valid; the scanner then has the fault. */
type Read<Message> = (scanner: Scanner, message: Message) => boolean;

export type Field<Message> = { readonly read: Read<Message>; readonly oneOf: string | null };

type NumberedField<Message> = { readonly read: Read<Message>; readonly bit: number; readonly oneOfBit: number };

export type Descriptor<Message> = {
  readonly create: () => Message;
  readonly fields: ReadonlyMap<string, NumberedField<Message>>;
};

/** `fields` have their names in the .proto file. */
export function message<Message>(
  create: () => Message,
  fields: Readonly<Record<string, Field<Message>>>,
): Descriptor<Message> {
  const byName = new Map<string, NumberedField<Message>>();
  const oneOfs: string[] = [];
  for (const [index, [name, { read, oneOf }]] of Object.entries(fields).entries()) {
    if (oneOf !== null && !oneOfs.includes(oneOf)) oneOfs.push(oneOf);
    const numbered = { read, bit: 1 << index, oneOfBit: oneOf === null ? 0 : 1 << oneOfs.indexOf(oneOf) };
    byName.set(name, numbered);
    byName.set(jsonName(name), numbered);
  }
  return { create, fields: byName };
}

/** The second name of a field: `rangeEnd` for `range_end`, and `ID` for `ID`. */
function jsonName(name: string): string {
  return name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

export function readMessage<Message>(descriptor: Descriptor<Message>, scanner: Scanner): Message | null {
  if (!scanner.enter('{')) return null;
  const result = descriptor.create();
  if (scanner.leaves('}')) return result;
  let seen = 0;
  let seenOneOfs = 0;
  for (;;) {
    const name = scanner.readName();
    if (name === null) return null;
    const field = descriptor.fields.get(name);
    if (field === undefined) {
      if (!scanner.skipValue()) return null;
    } else {
      if ((seen & field.bit) !== 0) return scanner.fail(`field "${name}" is given twice`);
      seen |= field.bit;
      if (!scanner.takeNull()) {
        if ((seenOneOfs & field.oneOfBit) !== 0) return scanner.fail(`"${name}" excludes a field before it`);
        seenOneOfs |= field.oneOfBit;
        if (!field.read(scanner, result)) return null;
      }
    }
    const more = scanner.more('}');
    if (more === null) return null;
    if (!more) return result;
  }
}

/** Makes a field a member of a one-of. */
export function oneOf<Message>(group: string, { read }: Field<Message>): Field<Message> {
  return { read, oneOf: group };
}

function plain<Message>(read: Read<Message>): Field<Message> {
  return { read, oneOf: null };
}

export function bytes<Message>(set: (into: Message, value: Uint8Array) => void): Field<Message> {
  return plain((scanner, into) => {
    const value = scanner.readBase64();
    if (value === null) return false;
    set(into, value);
    return true;
  });
}

export function bool<Message>(set: (into: Message, value: boolean) => void): Field<Message> {
  return plain((scanner, into) => {
    const value = scanner.readBoolean();
    if (value === null) return false;
    set(into, value);
    return true;
  });
}

/** The text of a number, which may be in quotes. */
function readNumberText(scanner: Scanner): string | null {
  if (scanner.peek() !== 0x22) return scanner.readNumber();
  const quoted = scanner.readString();
  return quoted === null ? null : numberInQuotes(quoted);
}

function readInteger(scanner: Scanner): number | bigint | null {
  const text = readNumberText(scanner);
  if (text === null) return null;
  return parseInt64(text) ?? scanner.fail('not an integer of 64 bits');
}

/**
 * An int64 that is compared with revisions or counts. Beyond 2^53 it is the nearest number, which is also beyond all of
 * those.
 */
export function int64<Message>(set: (into: Message, value: number) => void): Field<Message> {
  return plain((scanner, into) => {
    const value = readInteger(scanner);
    if (value === null) return false;
    set(into, Number(value));
    return true;
  });
}

/** An int64 that is a name, of which every bit counts. */
export function int64Exact<Message>(set: (into: Message, value: bigint) => void): Field<Message> {
  return plain((scanner, into) => {
    const value = readInteger(scanner);
    if (value === null) return false;
    set(into, BigInt(value));
    return true;
  });
}

/** A uint64 that is a name: the id of a member. */
export function uint64Exact<Message>(set: (into: Message, value: bigint) => void): Field<Message> {
  return plain((scanner, into) => {
    const text = readNumberText(scanner);
    if (text === null) return false;
    const value = parseUint64(text);
    if (value === null) {
      scanner.fail('not an unsigned integer of 64 bits');
      return false;
    }
    set(into, value);
    return true;
  });
}

export function text<Message>(set: (into: Message, value: string) => void): Field<Message> {
  return plain((scanner, into) => {
    const value = scanner.readText();
    if (value === null) return false;
    set(into, value);
    return true;
  });
}

export function texts<Message>(add: (into: Message, value: string) => void): Field<Message> {
  return list((scanner, into) => {
    const value = scanner.readText();
    if (value === null) return false;
    add(into, value);
    return true;
  });
}

/** The number of an enum; `undefined` for a name that the enum does not have, and null for a fault. */
function readEnum(scanner: Scanner, names: Readonly<Record<string, number>>): number | undefined | null {
  if (scanner.peek() === 0x22) {
    const name = scanner.readString();
    if (name === null) return null;
    return Object.hasOwn(names, name) ? names[name] : undefined;
  }
  const text = scanner.readNumber();
  if (text === null) return null;
  return parseInt32(text) ?? scanner.fail('not an integer of 32 bits');
}

/** An unknown name leaves the field as it was. An unknown number is kept. */
export function enumeration<Message>(
  names: Readonly<Record<string, number>>,
  set: (into: Message, value: number) => void,
): Field<Message> {
  return plain((scanner, into) => {
    const value = readEnum(scanner, names);
    if (value === null) return false;
    if (value !== undefined) set(into, value);
    return true;
  });
}

/** A list of enums, without the names that are not known. */
export function enumerations<Message>(
  names: Readonly<Record<string, number>>,
  add: (into: Message, value: number) => void,
): Field<Message> {
  return list((scanner, into) => {
    const value = readEnum(scanner, names);
    if (value === null) return false;
    if (value !== undefined) add(into, value);
    return true;
  });
}

/** `descriptor` is a function, because the descriptors of messages refer to each other. */
export function submessage<Message, Sub>(
  descriptor: () => Descriptor<Sub>,
  set: (into: Message, value: Sub) => void,
): Field<Message> {
  return plain((scanner, into) => {
    const value = readMessage(descriptor(), scanner);
    if (value === null) return false;
    set(into, value);
    return true;
  });
}

export function submessages<Message, Sub>(
  descriptor: () => Descriptor<Sub>,
  add: (into: Message, value: Sub) => void,
): Field<Message> {
  return list((scanner, into) => {
    const value = readMessage(descriptor(), scanner);
    if (value === null) return false;
    add(into, value);
    return true;
  });
}

function list<Message>(readItem: Read<Message>): Field<Message> {
  return plain((scanner, into) => {
    if (!scanner.enter('[')) return false;
    if (scanner.leaves(']')) return true;
    for (;;) {
      if (!readItem(scanner, into)) return false;
      const more = scanner.more(']');
      if (more === null) return false;
      if (!more) return true;
    }
  });
}

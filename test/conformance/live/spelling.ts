// Respells or spoils a request: what a JSON gateway reads beside the canonical form.

import { isList, isObject, type Body, type Json, type JsonObject } from '../conversation.ts';
import type { Random } from '../../support/random.ts';

const byteMembers = new Set(['key', 'range_end', 'value']);

/**
 * Respells with camelCase, integers as numbers, base64 of the URL-safe alphabet or without padding, and defaults
 * written out.
 */
export function respelled(random: Random, value: Json): Json {
  if (isList(value)) return value.map((element) => respelled(random, element));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      random.chance(0.5) ? camelCase(name) : name,
      respelledMember(random, name, member),
    ]),
  );
}

function respelledMember(random: Random, name: string, member: Json): Json {
  if (typeof member !== 'string') return respelled(random, member);
  if (byteMembers.has(name)) {
    const text = random.chance(0.5) ? member.replaceAll('+', '-').replaceAll('/', '_') : member;
    return random.chance(0.5) ? text.replaceAll('=', '') : text;
  }
  if (/^-?\d{1,15}$/.test(member)) {
    return random.weighted<Json>([
      [3, Number(member)],
      [2, member],
      [1, `${member}.0`],
      [1, `${member}e0`],
    ]);
  }
  return member;
}

function camelCase(name: string): string {
  return name.replaceAll(/_([a-z])/g, (_whole, letter: string) => letter.toUpperCase());
}

/**
 * Spoils one member somewhere: it has another type, is missing, unknown, or stands twice; or the text itself is broken.
 */
export function spoiled(random: Random, value: Json): Body {
  const text = JSON.stringify(value);
  return random.weighted<() => Body>([
    [6, () => ({ kind: 'json', value: withJunk(random, value) })],
    [1, () => ({ kind: 'text', text: text.slice(0, random.below(text.length)) })],
    [
      1,
      () => ({
        kind: 'text',
        text: insert(text, random.below(text.length), random.pick([',', '"', '}', ':', '[', ' ', '\\u00'])),
      }),
    ],
    [1, () => ({ kind: 'text', text: `${text}${random.pick([text, '}', ' ', '\n{', 'x'])}` })],
    [1, () => ({ kind: 'text', text: text.replace(/("\w+":)("[^"]*"|\d+)/, '$1$2,$1$2') })],
    [1, () => ({ kind: 'text', text: random.pick(['', 'null', '[]', '""', '7', '{}', ' ']) })],
  ])();
}

const junk: readonly [Json, ...Json[]] = [
  null,
  true,
  1.5,
  -1,
  '',
  'x',
  '01',
  ' 1',
  '1.0',
  '1e1',
  'AA=',
  'A-+/',
  '9223372036854775808',
  1e30,
  [],
  {},
  [null],
  [{}],
  'EQUAL',
  'descend',
  99,
  'AAAA\n',
];

function withJunk(random: Random, value: Json): Json {
  if (isList(value) && value.length > 0 && random.chance(0.7)) {
    const at = random.below(value.length);
    return value.with(at, withJunk(random, value[at] ?? null));
  }
  if (!isObject(value)) return random.pick(junk);
  const names = Object.keys(value);
  const name = names[random.below(names.length)];
  if (name === undefined || random.chance(0.1))
    return { ...value, [random.pick(['unknown', 'Key', 'id'])]: random.pick(junk) };
  if (random.chance(0.2)) return without(value, name);
  return { ...value, [name]: withJunk(random, value[name] ?? null) };
}

function without(value: JsonObject, name: string): JsonObject {
  return Object.fromEntries(Object.entries(value).filter(([other]) => other !== name));
}

function insert(text: string, at: number, part: string): string {
  return `${text.slice(0, at)}${part}${text.slice(at)}`;
}

// A recorded conversation as test/corpus/README.md describes it: one file, its steps in order. Parsing only.

import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
export type JsonObject = { readonly [name: string]: Json };

export type Call = {
  readonly method: string;
  readonly path: string;
  /** Null: this header is not sent at all. */
  readonly headers: Readonly<Record<string, string | null>>;
  readonly body: Body;
};

export type Body =
  | { readonly kind: 'none' }
  | { readonly kind: 'json'; readonly value: Json }
  | { readonly kind: 'text'; readonly text: string };

export type Answer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly content:
    | { readonly kind: 'any' }
    | { readonly kind: 'json'; readonly type: string; readonly value: Json }
    | { readonly kind: 'text'; readonly type: string; readonly text: string };
};

export type Action =
  | { readonly kind: 'call'; readonly call: Call; readonly answer: Answer; readonly retryMs: number }
  | { readonly kind: 'start'; readonly id: string; readonly call: Call }
  | { readonly kind: 'finish'; readonly id: string; readonly answer: Answer }
  | { readonly kind: 'openPost'; readonly id: string; readonly call: Call; readonly byWatch: boolean }
  | {
      readonly kind: 'openWebSocket';
      readonly id: string;
      readonly call: Call;
      readonly byWatch: boolean;
      readonly answer: Answer;
    }
  | { readonly kind: 'send'; readonly id: string; readonly body: Body }
  | {
      readonly kind: 'expect';
      readonly id: string;
      readonly messages: readonly Json[];
      readonly status: number | null;
      readonly end: boolean;
    }
  | {
      readonly kind: 'gather';
      readonly id: string;
      readonly watches: ReadonlyMap<string, readonly Json[]>;
      readonly fragmented: readonly string[];
    }
  | { readonly kind: 'progress'; readonly id: string; readonly revision: string }
  | { readonly kind: 'quiet'; readonly id: string; readonly ms: number }
  | { readonly kind: 'close'; readonly id: string }
  | { readonly kind: 'snapshot'; readonly call: Call; readonly messagesAtLeast: number }
  | { readonly kind: 'sleep'; readonly ms: number };

export type Step = { readonly line: number; readonly action: Action };
export type Conversation = { readonly file: string; readonly about: string; readonly steps: readonly Step[] };

const formatRead = 1;

export function readConversation(path: string): Conversation {
  const lines = readFileSync(path, 'utf8').split('\n');
  // `JSON.parse` yields nothing but this type.
  const values = lines.map((text) => (text === '' ? null : (JSON.parse(text) as Json)));
  const head = object(member(object(values[0] ?? null, 'the first line'), 'conversation'), 'conversation');
  if (head['format'] !== formatRead) throw new Error(`${path}: format ${JSON.stringify(head['format'])} is not known`);
  const steps: Step[] = [];
  for (const [index, value] of values.entries()) {
    if (index === 0 || value === null) continue;
    const where = `${basename(path)}:${index + 1}`;
    steps.push({ line: index + 1, action: parseAction(object(value, where), where) });
  }
  return { file: basename(path), about: text(head, 'about'), steps };
}

/**
 * The members of a step say what kind of step it is. A step that no rule knows is refused, so that nothing is skipped.
 */
function parseAction(step: JsonObject, where: string): Action {
  refuseUnknown(step, where);
  if ('start' in step) return { kind: 'start', id: text(step, 'start'), call: parseCall(member(step, 'call')) };
  if ('finish' in step) {
    return { kind: 'finish', id: text(step, 'finish'), answer: parseAnswer(member(step, 'answer')) };
  }
  if ('open' in step) return parseOpen(step);
  if ('send' in step) return { kind: 'send', id: text(step, 'send'), body: parseBody(step) };
  if ('expect' in step) {
    return {
      kind: 'expect',
      id: text(step, 'expect'),
      messages: list(member(step, 'messages'), 'messages'),
      status: 'status' in step ? number(step, 'status') : null,
      end: step['end'] === true,
    };
  }
  if ('gather' in step) return parseGather(step);
  if ('progress' in step) return { kind: 'progress', id: text(step, 'progress'), revision: text(step, 'revision') };
  if ('quiet' in step) return { kind: 'quiet', id: text(step, 'quiet'), ms: number(step, 'ms') };
  if ('close' in step) return { kind: 'close', id: text(step, 'close') };
  if ('snapshot' in step) {
    return {
      kind: 'snapshot',
      call: parseCall(member(step, 'snapshot')),
      messagesAtLeast: number(step, 'messages_at_least'),
    };
  }
  if ('sleep_ms' in step) return { kind: 'sleep', ms: number(step, 'sleep_ms') };
  return {
    kind: 'call',
    call: parseCall(member(step, 'call')),
    answer: parseAnswer(member(step, 'answer')),
    retryMs: 'retry_ms' in step ? number(step, 'retry_ms') : 0,
  };
}

const membersOfSteps: readonly (readonly string[])[] = [
  ['call', 'answer', 'retry_ms'],
  ['start', 'call'],
  ['finish', 'answer'],
  ['open', 'as', 'call', 'answer', 'by_watch'],
  ['send', 'json', 'body'],
  ['expect', 'messages', 'status', 'end'],
  ['gather', 'watches', 'fragmented'],
  ['progress', 'revision'],
  ['quiet', 'ms'],
  ['close'],
  ['snapshot', 'messages_at_least'],
  ['sleep_ms'],
];

function refuseUnknown(step: JsonObject, where: string): void {
  const names = Object.keys(step);
  const known = membersOfSteps.some((members) => {
    const [first] = members;
    return first !== undefined && first in step && names.every((name) => members.includes(name));
  });
  if (!known) throw new Error(`${where}: a step with the members ${names.join(', ')} is not known`);
}

function parseOpen(step: JsonObject): Action {
  const id = text(step, 'open');
  const call = parseCall(member(step, 'call'));
  const byWatch = step['by_watch'] === true;
  switch (text(step, 'as')) {
    case 'post':
      return { kind: 'openPost', id, call, byWatch };
    case 'websocket':
      // Without a recorded answer the upgrade is expected to succeed, as `open` says.
      return {
        kind: 'openWebSocket',
        id,
        call,
        byWatch,
        answer: parseAnswer('answer' in step ? member(step, 'answer') : { status: 101 }),
      };
    default:
      throw new Error(`open as ${text(step, 'as')} is not known`);
  }
}

function parseGather(step: JsonObject): Action {
  const watches = object(member(step, 'watches'), 'watches');
  const fragmented = 'fragmented' in step ? list(member(step, 'fragmented'), 'fragmented') : [];
  return {
    kind: 'gather',
    id: text(step, 'gather'),
    watches: new Map(Object.entries(watches).map(([watch, items]) => [watch, list(items, `watch ${watch}`)])),
    fragmented: fragmented.map(String),
  };
}

function parseCall(value: Json): Call {
  const call = object(value, 'call');
  const headers: Record<string, string | null> = {};
  for (const [name, header] of Object.entries(object(call['headers'] ?? {}, 'headers'))) {
    if (header !== null && typeof header !== 'string') throw new Error(`the header ${name} is neither text nor null`);
    headers[name.toLowerCase()] = header;
  }
  return {
    method: 'method' in call ? text(call, 'method') : 'POST',
    path: text(call, 'path'),
    headers,
    body: parseBody(call),
  };
}

function parseBody(holder: JsonObject): Body {
  if ('json' in holder) return { kind: 'json', value: member(holder, 'json') };
  if ('body' in holder) return { kind: 'text', text: text(holder, 'body') };
  return { kind: 'none' };
}

function parseAnswer(value: Json): Answer {
  const answer = object(value, 'answer');
  const type = 'type' in answer ? text(answer, 'type') : 'application/json';
  const recorded = object(answer['headers'] ?? {}, 'headers');
  const headers = Object.keys(recorded).map((name) => [name, text(recorded, name)] as const);
  return {
    status: number(answer, 'status'),
    headers: Object.fromEntries(headers),
    content:
      'json' in answer
        ? { kind: 'json', type, value: member(answer, 'json') }
        : 'text' in answer
          ? { kind: 'text', type, text: text(answer, 'text') }
          : { kind: 'any' },
  };
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

function object(value: Json, what: string): JsonObject {
  if (!isObject(value)) throw new Error(`${what} is not an object`);
  return value;
}

function list(value: Json, what: string): readonly Json[] {
  if (!isList(value)) throw new Error(`${what} is not an array`);
  return value;
}

function member(holder: JsonObject, name: string): Json {
  const value = holder[name];
  if (value === undefined) throw new Error(`${name} is missing`);
  return value;
}

function text(holder: JsonObject, name: string): string {
  const value = holder[name];
  if (typeof value !== 'string') throw new Error(`${name} is not a text`);
  return value;
}

function number(holder: JsonObject, name: string): number {
  const value = holder[name];
  if (typeof value !== 'number') throw new Error(`${name} is not a number`);
  return value;
}

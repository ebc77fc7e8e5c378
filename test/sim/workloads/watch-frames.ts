// What a watcher reads: frames of v1 and messages of v3, both as the same plain values.

import { type JsonObject, listOf, numberIn, objectOf, parseObject, textIn } from '../json.ts';
import type { PlainEvent, PlainPair } from '../models/plain.ts';

export type SeenEvent = PlainEvent & { readonly revision: number };

export type WatchFrame =
  /** `from`: the first revision that will be told. Null: the frame does not say. */
  | { readonly kind: 'created'; readonly revision: number; readonly from: number | null }
  | { readonly kind: 'events'; readonly events: readonly SeenEvent[] }
  | { readonly kind: 'progress'; readonly revision: number }
  /** `compacted` 0 and `resume` 0: the frame does not say. */
  | { readonly kind: 'canceled'; readonly compacted: number; readonly resume: number; readonly why: string };

export type WatchProtocol = 'v1' | 'v3';

export function parseFrame(protocol: WatchProtocol, text: string): WatchFrame {
  const frame = parseObject(text);
  return protocol === 'v1' ? frameOfV1(frame) : messageOfV3(objectOf(frame['result']));
}

function frameOfV1(frame: JsonObject): WatchFrame {
  const revision = numberIn(frame['revision']);
  const type = textIn(frame['type']);
  switch (type) {
    case 'created':
      return { kind: 'created', revision, from: numberIn(frame['from']) };
    case 'events':
      return { kind: 'events', events: listOf(frame['events']).map((event) => eventOfV1(objectOf(event))) };
    case 'progress':
      return { kind: 'progress', revision };
    case 'canceled': {
      const problem = objectOf(frame['problem']);
      const compacted = numberIn(problem['compacted_revision']);
      const why = textIn(problem['type']) || textIn(frame['reason']);
      return { kind: 'canceled', compacted, resume: numberIn(frame['resume_from']), why };
    }
    default:
      throw new Error(`a frame of type "${type}"`);
  }
}

function eventOfV1(event: JsonObject): SeenEvent {
  const pair = pairOfV1(objectOf(event['kv']));
  const previous = event['prev'] === undefined ? null : pairOfV1(objectOf(event['prev']));
  return { type: textIn(event['type']) === 'delete' ? 'delete' : 'put', pair, previous, revision: pair.mod };
}

function pairOfV1(kv: JsonObject): PlainPair {
  return pairOf(kv, (name) => {
    const encoded = textIn(kv[`${name}_base64`]);
    return encoded === '' ? latin1(textIn(kv[name]), 'utf8') : latin1(encoded, 'base64');
  });
}

function messageOfV3(result: JsonObject): WatchFrame {
  const revision = numberIn(objectOf(result['header'])['revision']);
  const compacted = numberIn(result['compact_revision']);
  const why = textIn(result['cancel_reason']);
  if (result['canceled'] === true) {
    const resume = Number(/watch again from revision (\d+)/.exec(why)?.[1] ?? 0);
    return { kind: 'canceled', compacted, resume, why };
  }
  if (result['created'] === true) return { kind: 'created', revision, from: null };
  if (result['events'] === undefined) return { kind: 'progress', revision };
  return { kind: 'events', events: listOf(result['events']).map((event) => eventOfV3(objectOf(event))) };
}

function eventOfV3(event: JsonObject): SeenEvent {
  const pair = pairOfV3(objectOf(event['kv']));
  const previous = event['prev_kv'] === undefined ? null : pairOfV3(objectOf(event['prev_kv']));
  return { type: textIn(event['type']) === 'DELETE' ? 'delete' : 'put', pair, previous, revision: pair.mod };
}

function pairOfV3(kv: JsonObject): PlainPair {
  return pairOf(kv, (name) => latin1(textIn(kv[name]), 'base64'));
}

function pairOf(kv: JsonObject, bytesNamed: (name: 'key' | 'value') => string): PlainPair {
  return {
    key: bytesNamed('key'),
    value: bytesNamed('value'),
    create: numberIn(kv['create_revision']),
    mod: numberIn(kv['mod_revision']),
    version: numberIn(kv['version']),
    lease: textIn(kv['lease']) || '0',
  };
}

/** Bytes in the form in which the checkers hold them. */
function latin1(text: string, encoding: 'utf8' | 'base64'): string {
  return Buffer.from(text, encoding).toString('latin1');
}

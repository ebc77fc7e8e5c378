// v1's JSON. Revisions and counts are numbers, because they stay below 2^53; leases need not, and are decimal strings.
// Keys and values are text where they are UTF-8, and base64 under another name where they are not.

import { unreachable } from '../../base/assert.ts';
import { base64, textOf } from '../../base/bytes.ts';
import { noLease } from '../../model/brands.ts';
import type { KeyValue, Pairs, StoreEvent, TxnAnswer, TxnPart } from '../../model/store.ts';
import { Answer, type AnswerHeaders } from '../answer.ts';

/** `"key":"a"`, or `"key_base64":"/w=="`. */
export function bytesJson(name: 'key' | 'value' | 'name', bytes: Uint8Array): string {
  const text = textOf(bytes);
  return text === null ? `"${name}_base64":"${base64(bytes)}"` : `"${name}":${JSON.stringify(text)}`;
}

function keyValueJson(kv: KeyValue, keysOnly: boolean): string {
  const value = keysOnly ? '' : `,${bytesJson('value', kv.value)}`;
  const lease = kv.lease === noLease ? '' : `,"lease":"${kv.lease}"`;
  return (
    `{${bytesJson('key', kv.key)}${value},"create_revision":${kv.createRevision},"mod_revision":${kv.modRevision}` +
    `,"version":${kv.version}${lease}}`
  );
}

export function keyValuesJson(kvs: Pairs, keysOnly: boolean): string {
  return `[${kvs.map((kv) => keyValueJson(kv, keysOnly)).join(',')}]`;
}

export function eventJson(event: StoreEvent, withPrevious: boolean): string {
  const { kv, previous } = event;
  const pair =
    event.type === 'put' ? keyValueJson(kv, false) : `{${bytesJson('key', kv.key)},"mod_revision":${kv.modRevision}}`;
  const before = withPrevious && previous !== null ? `,"prev":${keyValueJson(previous, false)}` : '';
  return `{"type":"${event.type}","kv":${pair}${before}}`;
}

export function txnJson(answer: TxnAnswer): string {
  return `"succeeded":${answer.succeeded},"results":[${answer.parts.map(partJson).join(',')}]`;
}

function partJson(part: TxnPart): string {
  switch (part.kind) {
    case 'range': {
      const { kvs, more, count } = part.answer;
      return `{"get":{"kvs":${keyValuesJson(kvs, part.keysOnly)},"count":${count},"more":${more}}}`;
    }
    case 'put': {
      const { previous } = part.answer;
      return previous === null ? '{"put":{}}' : `{"put":{"prev":${keyValueJson(previous, false)}}}`;
    }
    case 'deleteRange': {
      const { deleted, previous } = part.answer;
      const before = previous.length === 0 ? '' : `,"prev":${keyValuesJson(previous, false)}`;
      return `{"delete":{"deleted":${deleted}${before}}}`;
    }
    case 'txn':
      return `{"txn":{${txnJson(part.answer)}}}`;
    default:
      return unreachable(part);
  }
}

/**
 * Answers belong to the tenant and change with every write, so only the reader may keep one, and must then ask again.
 */
const cacheControl = 'private, no-cache';

export function jsonAnswer(text: string, headers: AnswerHeaders = {}): Answer {
  return new Answer(200, { 'content-type': 'application/json', 'cache-control': cacheControl, ...headers }, text);
}

/** 201 Created, with the location of what was created. */
export function createdAnswer(text: string, location: string): Answer {
  const headers = { 'content-type': 'application/json', 'cache-control': cacheControl, location };
  return new Answer(201, headers, text);
}

export function bytesAnswer(bytes: Uint8Array | null, status: 200 | 304, headers: AnswerHeaders): Answer {
  const all = { ...headers, 'cache-control': cacheControl, 'x-content-type-options': 'nosniff' };
  return new Answer(status, all, bytes);
}

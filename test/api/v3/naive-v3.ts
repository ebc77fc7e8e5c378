// etcd's JSON, written and read in the slow, obvious way, to compare the codec with: from a JSON value to the model's
// request, and from a recorded answer to the model's answer.

import { Buffer } from 'node:buffer';
import { leaseId, revision } from '../../../src/model/brands.ts';
import type {
  Compare,
  KeyValue,
  Outcome,
  RangeAnswer,
  StoreEvent,
  TxnAnswer,
  TxnOperation,
  TxnPart,
  TxnRequest,
} from '../../../src/model/store.ts';

export type Plain = Readonly<Record<string, unknown>>;

function bytesOf(value: unknown): Uint8Array {
  return new Uint8Array(Buffer.from(typeof value === 'string' ? value : '', 'base64'));
}

function numberOf(value: unknown): number {
  return value === undefined || value === null ? 0 : Number(value);
}

function bigOf(value: unknown): bigint {
  return typeof value === 'string' || typeof value === 'number' ? BigInt(value) : 0n;
}

function enumOf(value: unknown, names: readonly string[]): number {
  if (typeof value === 'number') return value;
  return Math.max(0, names.indexOf(String(value)));
}

function objects(value: unknown): Plain[] {
  return Array.isArray(value) ? (value as Plain[]) : [];
}

/** The same value with every name in snake_case, as the .proto files have it. */
export function snakeCased(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snakeCased);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([name, member]) => [
    name.replaceAll(/[a-z][A-Z]/g, ([low = '', high = '']) => `${low}_${high.toLowerCase()}`),
    snakeCased(member),
  ]);
  return Object.fromEntries(members);
}

export function rangeRequest(json: Plain): unknown {
  return {
    key: bytesOf(json['key']),
    rangeEnd: bytesOf(json['range_end']),
    limit: numberOf(json['limit']),
    revision: numberOf(json['revision']),
    sortOrder: enumOf(json['sort_order'], ['NONE', 'ASCEND', 'DESCEND']),
    sortTarget: enumOf(json['sort_target'], ['KEY', 'VERSION', 'CREATE', 'MOD', 'VALUE']),
    serializable: json['serializable'] === true,
    keysOnly: json['keys_only'] === true,
    countOnly: json['count_only'] === true,
    minModRevision: numberOf(json['min_mod_revision']),
    maxModRevision: numberOf(json['max_mod_revision']),
    minCreateRevision: numberOf(json['min_create_revision']),
    maxCreateRevision: numberOf(json['max_create_revision']),
  };
}

function putRequest(json: Plain): unknown {
  return {
    key: bytesOf(json['key']),
    value: bytesOf(json['value']),
    lease: bigOf(json['lease']),
    previous: json['prev_kv'] === true,
    ignoreValue: json['ignore_value'] === true,
    ignoreLease: json['ignore_lease'] === true,
  };
}

function deleteRequest(json: Plain): unknown {
  return { key: bytesOf(json['key']), rangeEnd: bytesOf(json['range_end']), previous: json['prev_kv'] === true };
}

function compare(json: Plain): Compare {
  const base = {
    key: bytesOf(json['key']),
    rangeEnd: bytesOf(json['range_end']),
    result: enumOf(json['result'], ['EQUAL', 'GREATER', 'LESS', 'NOT_EQUAL']),
  };
  switch (enumOf(json['target'], ['VERSION', 'CREATE', 'MOD', 'VALUE', 'LEASE'])) {
    case 0:
      return { ...base, target: 'version', operand: numberOf(json['version']) };
    case 1:
      return { ...base, target: 'create', operand: numberOf(json['create_revision']) };
    case 2:
      return { ...base, target: 'mod', operand: numberOf(json['mod_revision']) };
    case 3:
      return { ...base, target: 'value', operand: bytesOf(json['value']) };
    case 4:
      return { ...base, target: 'lease', operand: leaseId(bigOf(json['lease'])) };
    default:
      return { ...base, target: 'unknown' };
  }
}

function operation(json: Plain): unknown {
  const part = (name: string): Plain | undefined => json[name] as Plain | undefined;
  const [range, put, remove, txn] = ['request_range', 'request_put', 'request_delete_range', 'request_txn'].map(part);
  if (range) return { kind: 'range', request: rangeRequest(range) };
  if (put) return { kind: 'put', request: putRequest(put) };
  if (remove) return { kind: 'deleteRange', request: deleteRequest(remove) };
  return txn ? { kind: 'txn', request: txnRequest(txn) } : { kind: 'empty' };
}

function txnRequest(json: Plain): TxnRequest {
  return {
    compare: objects(json['compare']).map(compare),
    success: objects(json['success']).map(operation) as TxnOperation[],
    failure: objects(json['failure']).map(operation) as TxnOperation[],
  };
}

export function writeOperation(path: string, json: Plain): unknown {
  switch (path) {
    case '/v3/kv/put':
      return { kind: 'put', request: putRequest(json) };
    case '/v3/kv/deleterange':
      return { kind: 'deleteRange', request: deleteRequest(json) };
    case '/v3/kv/txn':
      return { kind: 'txn', request: txnRequest(json) };
    default:
      return { kind: 'compact', request: { revision: numberOf(json['revision']) } };
  }
}

function keyValue(json: Plain): KeyValue {
  return {
    key: bytesOf(json['key']),
    value: bytesOf(json['value']),
    createRevision: revision(numberOf(json['create_revision'])),
    modRevision: revision(numberOf(json['mod_revision'])),
    version: numberOf(json['version']),
    lease: leaseId(bigOf(json['lease'])),
  };
}

export function rangeAnswer(json: Plain): RangeAnswer {
  return { kvs: objects(json['kvs']).map(keyValue), more: json['more'] === true, count: numberOf(json['count']) };
}

function previous(json: Plain): KeyValue | null {
  return json['prev_kv'] === undefined ? null : keyValue(json['prev_kv'] as Plain);
}

function part(json: Plain): TxnPart {
  const [[name, value] = ['', {}]] = Object.entries(json) as [string, Plain][];
  const at = revision(numberOf((value['header'] as Plain)['revision']));
  switch (name) {
    case 'response_range':
      return { kind: 'range', revision: at, answer: rangeAnswer(value), keysOnly: false };
    case 'response_put':
      return { kind: 'put', revision: at, answer: { previous: previous(value) } };
    case 'response_delete_range':
      return { kind: 'deleteRange', revision: at, answer: deleteAnswer(value) };
    default:
      return { kind: 'txn', answer: txnAnswer(value) };
  }
}

function deleteAnswer(json: Plain): { deleted: number; previous: KeyValue[] } {
  return { deleted: numberOf(json['deleted']), previous: objects(json['prev_kvs']).map(keyValue) };
}

function txnAnswer(json: Plain): TxnAnswer {
  return { succeeded: json['succeeded'] === true, parts: objects(json['responses']).map(part) };
}

export function outcome(path: string, json: Plain): Outcome {
  const at = revision(numberOf((json['header'] as Plain)['revision']));
  if (path.endsWith('/put')) return { revision: at, kind: 'put', answer: { previous: previous(json) } };
  if (path.endsWith('/deleterange')) return { revision: at, kind: 'deleteRange', answer: deleteAnswer(json) };
  if (path.endsWith('/txn')) return { revision: at, kind: 'txn', answer: txnAnswer(json) };
  return { revision: at, kind: 'compact' };
}

export function event(json: Plain): StoreEvent {
  return {
    type: json['type'] === 'DELETE' ? 'delete' : 'put',
    kv: keyValue(json['kv'] as Plain),
    previous: previous(json),
  };
}

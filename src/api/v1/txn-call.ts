// POST /v1/txn {if, then, else}: etcd's transaction in plain JSON. Compares and operations name their keys as all of v1
// does: by key, by prefix, or by start and end.

import { assert, unreachable } from '../../base/assert.ts';
import { emptyBytes } from '../../base/bytes.ts';
import { leaseId } from '../../model/brands.ts';
import { keyBytesMax, listLimitDefault, listLimitMax, writeBytesMax } from '../../limits.ts';
import type { Compare, KeyRange, PutRequest, TxnOperation, TxnRequest } from '../../model/store.ts';
import { compareResult, sortOrder } from '../../model/store.ts';
import type { ApiRequest, WriteCall } from '../contract.ts';
import type { Failure } from '../errors/errors.ts';
import { failureAnswer } from '../errors/errors.ts';
import { txnBytes } from '../../model/request-size.ts';
import { parseWriteId } from '../write-id.ts';
import { jsonAnswer, txnJson } from './encode.ts';
import { Fields, parseObject } from './fields.ts';
import { failureOf } from './key-calls.ts';
import { chooseRange, everyKey, parseQuery } from './parameters.ts';
import type { Parsed } from './parsed.ts';
import { bad, parsed } from './parsed.ts';
import { putOf, readOf } from '../requests.ts';

export function parseTxn(request: ApiRequest): Parsed<WriteCall> {
  const query = parseQuery(request.query, []);
  if (query.kind === 'bad') return query;
  const txn = parseObject(request.body, readTxn);
  if (txn.kind === 'bad') return txn;
  const bytes = txnBytes(txn.value);
  if (bytes > writeBytesMax) {
    return { kind: 'bad', failure: { kind: 'requestTooLarge', bytes, bytesMax: writeBytesMax } };
  }
  const writeId = parseWriteId(request.headers);
  if (writeId.kind === 'malformed') return bad(writeId.detail);
  return parsed({
    kind: 'write',
    protocol: 'v1',
    timeoutMs: null,
    operation: { kind: 'txn', request: txn.value },
    writeId: writeId.writeId,
    respond(outcome) {
      const failure = failureOf(outcome);
      if (failure !== null) return failureAnswer('v1', failure);
      assert(outcome.kind === 'txn', 'a transaction answers as one');
      const { revision } = outcome;
      return jsonAnswer(`{"revision":${revision},${txnJson(outcome.answer)}}`, {
        'quorate-revision': String(revision),
      });
    },
  });
}

function readTxn(fields: Fields): TxnRequest {
  const { faults } = fields;
  const compare = (fields.items('if') ?? []).map((item, index) =>
    readCompare(new Fields(item, `${fields.pathTo('if')}[${index}]`, faults)),
  );
  const branch = (name: 'then' | 'else'): TxnOperation[] =>
    (fields.items(name) ?? []).map((item, index) =>
      readOperation(new Fields(item, `${fields.pathTo(name)}[${index}]`, faults)),
    );
  const txn = { compare, success: branch('then'), failure: branch('else') };
  fields.finish();
  return txn;
}

const results = {
  '=': compareResult.equal,
  '!=': compareResult.notEqual,
  '<': compareResult.less,
  '>': compareResult.greater,
} as const;
const resultSigns = ['=', '!=', '<', '>'] as const;
const targets = ['version', 'create_revision', 'mod_revision', 'value', 'lease'] as const;
const modelTargets = { version: 'version', create_revision: 'create', mod_revision: 'mod' } as const;

function readCompare(fields: Fields): Compare {
  const range = readRange(fields);
  const target = fields.choice('target', targets);
  const sign = fields.choice('op', resultSigns);
  if (target === undefined && !fields.has('target')) fields.missing('target');
  if (sign === undefined && !fields.has('op')) fields.missing('op');
  const compare = readOperand(fields, { ...range, result: results[sign ?? '='] }, target ?? 'version');
  fields.finish();
  return compare;
}

function readOperand(
  fields: Fields,
  base: KeyRange & { readonly result: number },
  target: (typeof targets)[number],
): Compare {
  switch (target) {
    case 'value': {
      const operand = fields.bytes('value');
      if (operand === undefined) fields.missing('value');
      return { ...base, target, operand: operand ?? emptyBytes };
    }
    case 'lease': {
      const operand = fields.int64('value');
      if (operand === undefined) fields.missing('value');
      return { ...base, target, operand: leaseId(operand ?? 0n) };
    }
    case 'version':
    case 'create_revision':
    case 'mod_revision': {
      const operand = fields.integer('value', { min: 0, max: Number.MAX_SAFE_INTEGER });
      if (operand === undefined) fields.missing('value');
      return { ...base, target: modelTargets[target], operand: operand ?? 0 };
    }
    default:
      return unreachable(target);
  }
}

const operationNames = ['put', 'get', 'delete', 'txn'] as const;

function readOperation(fields: Fields): TxnOperation {
  fields.knows(operationNames);
  const [name, other] = operationNames.filter((known) => fields.has(known));
  if (other !== undefined) fields.faults.add(`${fields.pathTo(other)}: each object has one operation`);
  const operation = name === undefined ? undefined : readNamed(fields, name);
  fields.finish();
  if (operation === undefined) fields.faults.addMissing(`${fields.pathTo('put')}, get, delete or txn is missing`);
  return operation ?? { kind: 'empty' };
}

function readNamed(fields: Fields, name: (typeof operationNames)[number]): TxnOperation {
  const inner = new Fields(fields.take(name), fields.pathTo(name), fields.faults);
  switch (name) {
    case 'put':
      return { kind: 'put', request: readPut(inner) };
    case 'get':
      return readGet(inner);
    case 'delete':
      return readDelete(inner);
    case 'txn':
      return { kind: 'txn', request: readTxn(inner) };
    default:
      return unreachable(name);
  }
}

function readPut(fields: Fields): PutRequest {
  const key = fields.bytes('key');
  const value = fields.bytes('value');
  const ignoreValue = fields.boolean('ignore_value');
  if (key === undefined) fields.missing('key');
  if (value === undefined && !ignoreValue) fields.missing('value');
  const request = {
    ...putOf(key ?? emptyBytes, value ?? emptyBytes, fields.int64('lease') ?? null),
    previous: fields.boolean('prev'),
    ignoreValue,
    ignoreLease: fields.boolean('ignore_lease'),
  };
  fields.finish();
  return request;
}

function readGet(fields: Fields): TxnOperation {
  const range = readRange(fields);
  const order = fields.choice('order', ['asc', 'desc']) ?? 'asc';
  const countOnly = fields.boolean('count_only');
  const limit = fields.integer('limit', { min: 1, max: listLimitMax });
  if (countOnly && limit !== undefined) fields.faults.add(`${fields.pathTo('count_only')} does not go with limit`);
  const request = readOf(range, {
    revision: fields.integer('revision', { min: 1, max: Number.MAX_SAFE_INTEGER }) ?? 0,
    limit: countOnly ? 0 : (limit ?? listLimitDefault),
    sortOrder: order === 'asc' ? sortOrder.none : sortOrder.descend,
    keysOnly: fields.boolean('keys_only'),
    countOnly,
  });
  fields.finish();
  return { kind: 'range', request };
}

function readDelete(fields: Fields): TxnOperation {
  const request = { ...readRange(fields), previous: fields.boolean('prev') };
  fields.finish();
  return { kind: 'deleteRange', request };
}

function readRange(fields: Fields): KeyRange {
  const range = chooseRange({
    key: fields.bytes('key'),
    prefix: fields.bytes('prefix'),
    start: fields.bytes('start'),
    end: fields.bytes('end'),
  });
  if (range.kind === 'parsed' && range.value !== null) return range.value;
  const reason = range.kind === 'parsed' ? 'key, prefix, or start with end is missing' : reasonOf(range.failure);
  fields.faults.add(`${fields.pathTo('key')}: ${reason}`);
  return everyKey;
}

function reasonOf(failure: Failure): string {
  if (failure.kind === 'badRequest') return failure.detail;
  if (failure.kind === 'keyTooLong') return `a key of ${failure.bytes} bytes; at most ${keyBytesMax}`;
  return 'a key has at least one byte';
}

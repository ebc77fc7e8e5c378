// /v1/kv: lists keys in pages of one revision, and deletes a range.

import type { Answer } from '../answer.ts';
import { listLimitDefault, listLimitMax } from '../../limits.ts';
import { textOf } from '../../base/bytes.ts';
import type { KeyRange, RangeAnswer } from '../../model/store.ts';
import { sortOrder } from '../../model/store.ts';
import { assert } from '../../base/assert.ts';
import type { ApiRequest, ReadCall, WriteCall } from '../contract.ts';
import { failureAnswer } from '../errors/errors.ts';
import { parseWriteId } from '../write-id.ts';
import type { Cursor, Order } from './cursor.ts';
import { decodeCursor, encodeCursor, rangeAfter } from './cursor.ts';
import { jsonAnswer, keyValuesJson } from './encode.ts';
import { deletedAnswer, failureOf } from './key-calls.ts';
import type { QueryParameters } from './parameters.ts';
import {
  choiceParameter,
  everyKey,
  flagParameter,
  integerParameter,
  parseQuery,
  rangeParameterNames,
  rangeParameters,
  revisionParameter,
} from './parameters.ts';
import type { Parsed } from './parsed.ts';
import { bad, parsed } from './parsed.ts';
import { readOf } from '../requests.ts';

const pageParameterNames = ['limit', 'cursor', 'order', 'keys_only'] as const;

type List = {
  readonly range: KeyRange;
  readonly revision: number;
  readonly serializable: boolean;
  readonly limit: number;
  readonly order: Order;
  readonly keysOnly: boolean;
  readonly countOnly: boolean;
  readonly cursor: Cursor | null;
};

export function parseList(request: ApiRequest): Parsed<ReadCall> {
  const query = parseQuery(request.query, [
    ...rangeParameterNames,
    ...pageParameterNames,
    'revision',
    'count_only',
    'consistency',
  ]);
  if (query.kind === 'bad') return query;
  const list = parseListQuery(query.value);
  return list.kind === 'bad' ? list : parsed(listCall(list.value));
}

function parseListQuery(query: QueryParameters): Parsed<List> {
  const range = rangeParameters(query);
  if (range.kind === 'bad') return range;
  const revision = revisionParameter(query, 'revision');
  if (revision.kind === 'bad') return revision;
  const limit = integerParameter(query, 'limit', { min: 1, max: listLimitMax });
  if (limit.kind === 'bad') return limit;
  const order = choiceParameter(query, 'order', ['asc', 'desc']);
  if (order.kind === 'bad') return order;
  const keysOnly = flagParameter(query, 'keys_only');
  if (keysOnly.kind === 'bad') return keysOnly;
  const countOnly = flagParameter(query, 'count_only');
  if (countOnly.kind === 'bad') return countOnly;
  const consistency = choiceParameter(query, 'consistency', ['linearizable', 'serializable']);
  if (consistency.kind === 'bad') return consistency;
  const useless = countOnly.value ? pageParameterNames.find((name) => query.has(name)) : undefined;
  if (useless !== undefined) return bad(`count_only does not go with ${useless}`);
  const list = range.value ?? everyKey;
  const cursor = parseCursor(query, list, order.value);
  if (cursor.kind === 'bad') return cursor;
  if (cursor.value !== null && revision.value !== null && revision.value !== cursor.value.revision) {
    return bad(`the cursor is of revision ${cursor.value.revision}: leave revision out, or send that revision`);
  }
  return parsed({
    range: list,
    revision: cursor.value?.revision ?? revision.value ?? 0,
    serializable: consistency.value === 'serializable',
    limit: limit.value ?? listLimitDefault,
    order: order.value,
    keysOnly: keysOnly.value,
    countOnly: countOnly.value,
    cursor: cursor.value,
  });
}

function parseCursor(query: QueryParameters, list: KeyRange, order: Order): Parsed<Cursor | null> {
  const bytes = query.get('cursor');
  if (bytes === undefined) return parsed(null);
  const cursor = decodeCursor(textOf(bytes) ?? '', list, order);
  return cursor === null
    ? bad('cursor is not one that this list gave: send it with the range and the order of the page before')
    : parsed(cursor);
}

function listCall(list: List): ReadCall {
  const { revision, serializable, keysOnly, countOnly } = list;
  const range = list.cursor === null ? list.range : rangeAfter(list.cursor, list.range, list.order);
  return {
    kind: 'read',
    protocol: 'v1',
    timeoutMs: null,
    serializable,
    request: readOf(range, {
      limit: countOnly ? 0 : list.limit,
      revision,
      serializable,
      keysOnly,
      countOnly,
      sortOrder: list.order === 'asc' ? sortOrder.none : sortOrder.descend,
    }),
    respond(result, header) {
      if (result.kind === 'failed') return failureAnswer('v1', result.failure);
      return listAnswer(list, result.answer, header.revision);
    },
  };
}

/** `count` counts the whole list: the range that was read no longer has the pages before this one. */
function listAnswer(list: List, answer: RangeAnswer, storeRevision: number): Answer {
  const revision = list.revision === 0 ? storeRevision : list.revision;
  const headers = { 'quorate-revision': String(storeRevision) };
  const served = list.cursor?.served ?? 0;
  const count = served + answer.count;
  if (list.countOnly) return jsonAnswer(`{"count":${count},"revision":${revision}}`, headers);
  let cursor = '';
  const last = answer.kvs.at(-1);
  if (answer.more && last !== undefined) {
    const next = { revision, served: served + answer.kvs.length, after: last.key };
    cursor = `,"cursor":"${encodeCursor(next, list.range, list.order)}"`;
  }
  const kvs = keyValuesJson(answer.kvs, list.keysOnly);
  return jsonAnswer(`{"kvs":${kvs},"count":${count}${cursor},"revision":${revision}}`, headers);
}

export function parseDeleteRange(request: ApiRequest): Parsed<WriteCall> {
  const query = parseQuery(request.query, rangeParameterNames);
  if (query.kind === 'bad') return query;
  const range = rangeParameters(query.value);
  if (range.kind === 'bad') return range;
  if (range.value === null) return bad('say what to delete: prefix, or start and end (prefix= is every key)');
  const writeId = parseWriteId(request.headers);
  if (writeId.kind === 'malformed') return bad(writeId.detail);
  return parsed({
    kind: 'write',
    protocol: 'v1',
    timeoutMs: null,
    operation: { kind: 'deleteRange', request: { ...range.value, previous: false } },
    writeId: writeId.writeId,
    respond(outcome) {
      const failure = failureOf(outcome);
      if (failure !== null) return failureAnswer('v1', failure);
      assert(outcome.kind === 'deleteRange', 'a delete answers as one');
      return deletedAnswer(outcome.answer.deleted, outcome.revision);
    },
  });
}

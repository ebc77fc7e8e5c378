// /v1/kv/{key}: one key, whose value is the body. A write is a transaction wherever its answer or its conditions need
// more than the plain operation gives. The log then holds one write, and a retry gets the same answer.

import type { Answer } from '../answer.ts';
import { assert } from '../../base/assert.ts';
import { emptyBytes } from '../../base/bytes.ts';
import { noLease } from '../../model/brands.ts';
import { valueBytesMax } from '../../limits.ts';
import type { KeyValue, Outcome, TxnAnswer, TxnOperation, TxnRequest } from '../../model/store.ts';
import type { ApiRequest, ReadCall, WriteCall, WriteCondition } from '../contract.ts';
import type { Failure } from '../errors/errors.ts';
import { failureAnswer } from '../errors/errors.ts';
import type { EntityTags } from './conditions.ts';
import { entityTag, isUnchanged, parseEntityTags, parseWriteCondition } from './conditions.ts';
import { bytesAnswer, jsonAnswer } from './encode.ts';
import {
  choiceParameter,
  keyFailure,
  leaseParameter,
  parseQuery,
  percentDecode,
  revisionParameter,
} from './parameters.ts';
import type { Parsed } from './parsed.ts';
import { bad, parsed } from './parsed.ts';
import { putOf, readOf } from '../requests.ts';
import { parseWriteId } from '../write-id.ts';

function parseKey(text: string): Parsed<Uint8Array> {
  const key = percentDecode(text, 'plus');
  if (key === null) return bad('bad percent-encoding in the key: "%" needs two digits of hex after it');
  const failure = keyFailure(key);
  return failure === null ? parsed(key) : { kind: 'bad', failure };
}

/** GET and HEAD. */
export function parseGetKey(request: ApiRequest, keyText: string): Parsed<ReadCall> {
  const key = parseKey(keyText);
  if (key.kind === 'bad') return key;
  const query = parseQuery(request.query, ['revision', 'consistency']);
  if (query.kind === 'bad') return query;
  const at = revisionParameter(query.value, 'revision');
  if (at.kind === 'bad') return at;
  const consistency = choiceParameter(query.value, 'consistency', ['linearizable', 'serializable']);
  if (consistency.kind === 'bad') return consistency;
  const noneMatch = request.headers.get('if-none-match');
  const known = noneMatch === null ? parsed(null) : parseEntityTags('If-None-Match', noneMatch, 'taken');
  if (known.kind === 'bad') return known;
  const serializable = consistency.value === 'serializable';
  const withBody = request.method !== 'HEAD';
  return parsed({
    kind: 'read',
    protocol: 'v1',
    timeoutMs: null,
    serializable,
    request: readOf({ key: key.value, rangeEnd: emptyBytes }, { revision: at.value ?? 0, serializable }),
    respond(result, header) {
      if (result.kind === 'failed') return failureAnswer('v1', result.failure);
      const kv = result.answer.kvs.at(0);
      if (kv === undefined)
        return failureAnswer('v1', {
          kind: 'keyAbsent',
          key: key.value,
          asked: at.value ?? 0,
          revision: header.revision,
        });
      return valueAnswer(kv, { known: known.value, withBody, revision: header.revision });
    },
  });
}

type ValueOptions = { readonly known: EntityTags | null; readonly withBody: boolean; readonly revision: number };

function valueAnswer(kv: KeyValue, { known, withBody, revision }: ValueOptions): Answer {
  const headers: Record<string, string> = {
    etag: entityTag(kv.modRevision),
    'quorate-revision': String(revision),
    'quorate-create-revision': String(kv.createRevision),
    'quorate-version': String(kv.version),
  };
  if (kv.lease !== noLease) headers['quorate-lease'] = String(kv.lease);
  if (known !== null && isUnchanged(known, kv.modRevision)) return bytesAnswer(null, 304, headers);
  headers['content-type'] = 'application/octet-stream';
  headers['content-length'] = String(kv.value.byteLength);
  return bytesAnswer(withBody ? kv.value : null, 200, headers);
}

export function parsePutKey(request: ApiRequest, keyText: string): Parsed<WriteCall> {
  const key = parseKey(keyText);
  if (key.kind === 'bad') return key;
  const query = parseQuery(request.query, ['lease']);
  if (query.kind === 'bad') return query;
  const lease = leaseParameter(query.value);
  if (lease.kind === 'bad') return lease;
  const bytes = request.body.byteLength;
  if (bytes > valueBytesMax) return { kind: 'bad', failure: { kind: 'valueTooLarge', bytes } };
  const condition = parseWriteCondition(request.headers, key.value);
  if (condition.kind === 'bad') return condition;
  const put: TxnOperation = { kind: 'put', request: putOf(key.value, request.body, lease.value) };
  return conditionalWrite(request, {
    txn: conditionalTxn(key.value, condition.value, [put, readBack(key.value)]),
    condition: condition.value,
    answer(parts, revision) {
      const kv = keyReadBack(parts[1]);
      // In a group below level 3, the write id may be that of a transaction of the same form which read another key.
      if (kv === null) return failureAnswer('v1', { kind: 'idempotencyKeyReused' });
      const { createRevision, modRevision, version } = kv;
      return jsonAnswer(
        `{"revision":${revision},"create_revision":${createRevision},"mod_revision":${modRevision},"version":${version}}`,
        { etag: entityTag(modRevision), 'quorate-revision': String(revision) },
      );
    },
  });
}

export function parseDeleteKey(request: ApiRequest, keyText: string): Parsed<WriteCall> {
  const key = parseKey(keyText);
  if (key.kind === 'bad') return key;
  const query = parseQuery(request.query, []);
  if (query.kind === 'bad') return query;
  const condition = parseWriteCondition(request.headers, key.value);
  if (condition.kind === 'bad') return condition;
  const remove: TxnOperation = {
    kind: 'deleteRange',
    request: { key: key.value, rangeEnd: emptyBytes, previous: false },
  };
  return conditionalWrite(request, {
    txn: conditionalTxn(key.value, condition.value, [remove]),
    condition: condition.value,
    answer(parts, revision) {
      const part = parts[0];
      assert(part?.kind === 'deleteRange', 'a delete answers as one');
      return deletedAnswer(part.answer.deleted, revision);
    },
  });
}

export function deletedAnswer(deleted: number, revision: number): Answer {
  return jsonAnswer(`{"deleted":${deleted},"revision":${revision}}`, { 'quorate-revision': String(revision) });
}

function readBack(key: Uint8Array): TxnOperation {
  return { kind: 'range', request: readOf({ key, rangeEnd: emptyBytes }, { keysOnly: true }) };
}

function keyReadBack(part: TxnAnswer['parts'][number] | undefined): KeyValue | null {
  assert(part?.kind === 'range', 'the key is read back');
  return part.answer.kvs.at(0) ?? null;
}

/** Where the condition does not hold, the transaction reads the key instead, for the answer 412. */
function conditionalTxn(
  key: Uint8Array,
  condition: WriteCondition | null,
  operations: readonly TxnOperation[],
): TxnRequest {
  if (condition === null) return { compare: [], success: operations, failure: [] };
  const refused = [readBack(key)];
  return condition.holdsWhen
    ? { compare: condition.compare, success: operations, failure: refused }
    : { compare: condition.compare, success: refused, failure: operations };
}

type ConditionalWrite = {
  readonly txn: TxnRequest;
  readonly condition: WriteCondition | null;
  readonly answer: (parts: TxnAnswer['parts'], revision: number) => Answer;
};

function conditionalWrite(request: ApiRequest, { txn, condition, answer }: ConditionalWrite): Parsed<WriteCall> {
  const writeId = parseWriteId(request.headers);
  if (writeId.kind === 'malformed') return bad(writeId.detail);
  return parsed({
    kind: 'write',
    protocol: 'v1',
    timeoutMs: null,
    operation: { kind: 'txn', request: txn },
    writeId: writeId.writeId,
    respond(outcome) {
      const failure = failureOf(outcome);
      if (failure !== null) return failureAnswer('v1', failure);
      assert(outcome.kind === 'txn', 'a transaction answers as one');
      const { succeeded, parts } = outcome.answer;
      const { revision } = outcome;
      if (condition === null || succeeded === condition.holdsWhen) return answer(parts, revision);
      const current = keyReadBack(parts[0])?.modRevision ?? null;
      return failureAnswer('v1', { kind: 'preconditionFailed', current, revision });
    },
  });
}

/** The failure that any write may end in; null: the write was done. */
export function failureOf(outcome: Outcome): Failure | null {
  if (outcome.kind === 'failed') return outcome.failure;
  if (outcome.kind === 'appliedBefore') return { kind: 'appliedBefore', revision: outcome.revision };
  return null;
}

/* oxlint-disable unicorn/no-thenable -- `then` is a member of a transaction here */
import { describe, expect, it } from 'vitest';
import { leaseId, revision } from '../../../src/model/brands.ts';
import { base64, emptyBytes, utf8 } from '../../../src/base/bytes.ts';
import { listLimitDefault, writeBytesMax } from '../../../src/limits.ts';
import { compareResult } from '../../../src/model/store.ts';
import type { TxnRequest } from '../../../src/model/store.ts';
import { callOf, header, pair, refusal, txnOutcome } from '../wire.ts';

function txn(body: unknown): TxnRequest {
  const { operation } = callOf('write', 'POST /v1/txn', { body: JSON.stringify(body) });
  if (operation.kind !== 'txn') throw new Error(operation.kind);
  return operation.request;
}

async function fault(body: unknown): Promise<string> {
  const problem = await refusal('POST /v1/txn', { body: typeof body === 'string' ? body : JSON.stringify(body) });
  expect(problem).toMatchObject({ status: 400, slug: 'bad-request' });
  return problem.detail;
}

/** A transaction whose value has this many bytes. */
function bodyOf(bytes: number): { readonly body: string } {
  return { body: JSON.stringify({ then: [{ put: { key: 'a', value_base64: base64(new Uint8Array(bytes)) } }] }) };
}

describe('POST /v1/txn', () => {
  it('API-V1-30: compares name a range, a target, a sign and a value', () => {
    const { compare } = txn({
      if: [
        { key: 'a', target: 'version', op: '=', value: 0 },
        { key_base64: '_w', target: 'create_revision', op: '!=', value: 7 },
        { prefix: 'a/', target: 'mod_revision', op: '<', value: 9007199254740991 },
        { start: 'a', end: 'b', target: 'value', op: '>', value: 'é' },
        { prefix: '', target: 'value', op: '=', value_base64: '/w==' },
        { start: 'x', target: 'lease', op: '=', value: '-9223372036854775808' },
        { key: 'k', target: 'lease', op: '=', value: 5 },
      ],
    });
    const { equal, notEqual, less, greater } = compareResult;
    const every = new Uint8Array(1);
    expect(compare).toEqual([
      { key: utf8('a'), rangeEnd: emptyBytes, result: equal, target: 'version', operand: 0 },
      { key: new Uint8Array([255]), rangeEnd: emptyBytes, result: notEqual, target: 'create', operand: 7 },
      { key: utf8('a/'), rangeEnd: utf8('a0'), result: less, target: 'mod', operand: Number.MAX_SAFE_INTEGER },
      { key: utf8('a'), rangeEnd: utf8('b'), result: greater, target: 'value', operand: utf8('é') },
      { key: every, rangeEnd: every, result: equal, target: 'value', operand: new Uint8Array([255]) },
      { key: utf8('x'), rangeEnd: every, result: equal, target: 'lease', operand: -(2n ** 63n) },
      { key: utf8('k'), rangeEnd: emptyBytes, result: equal, target: 'lease', operand: leaseId(5n) },
    ]);
  });

  it('API-V1-31: operations are put, get, delete and txn, with their options', () => {
    const { success, failure } = txn({
      then: [
        { put: { key: 'a', value: '', prev: true, lease: 12 } },
        { put: { key: 'b', ignore_value: true, ignore_lease: true } },
        { get: { key: 'a' } },
        { get: { prefix: 'p', revision: 3, limit: 2, order: 'desc', keys_only: true } },
        { get: { prefix: 'p', count_only: true } },
        { delete: { start: 'a', end: 'c', prev: true } },
      ],
      else: [{ txn: { if: [], then: [{ get: { key: 'z' } }] } }],
    });
    expect(success).toMatchObject([
      { kind: 'put', request: { key: utf8('a'), value: emptyBytes, previous: true, lease: 12n, ignoreValue: false } },
      { kind: 'put', request: { key: utf8('b'), ignoreValue: true, ignoreLease: true, lease: 0n } },
      { kind: 'range', request: { key: utf8('a'), rangeEnd: emptyBytes, limit: listLimitDefault, revision: 0 } },
      { kind: 'range', request: { rangeEnd: utf8('q'), limit: 2, revision: 3, sortOrder: 2, keysOnly: true } },
      { kind: 'range', request: { countOnly: true, limit: 0 } },
      { kind: 'deleteRange', request: { key: utf8('a'), rangeEnd: utf8('c'), previous: true } },
    ]);
    expect(failure).toMatchObject([{ kind: 'txn', request: { success: [{ kind: 'range' }], failure: [] } }]);
    expect(txn({})).toEqual({ compare: [], success: [], failure: [] });
  });

  it('API-V1-32: what is unknown, missing, of the wrong type or out of bounds is refused by its place', async () => {
    const compare = { key: 'a', target: 'version', op: '=', value: 1 };
    const bad: [unknown, string][] = [
      [{ when: [] }, '"when"'],
      [{ if: {} }, 'if must be a list'],
      [{ if: [1] }, 'if[0] must be an object'],
      [{ if: [compare, { ...compare, x: 1 }] }, '"if[1].x"'],
      [{ if: [{ ...compare, op: '==' }] }, 'if[0].op'],
      [{ if: [{ ...compare, target: 'mod' }] }, 'if[0].target'],
      [{ if: [{ ...compare, value: '1' }] }, 'if[0].value'],
      [{ if: [{ ...compare, value: 1.5 }] }, 'if[0].value'],
      [{ if: [{ ...compare, value: -1 }] }, 'if[0].value'],
      [{ if: [{ ...compare, value: null }] }, 'if[0].value'],
      [{ if: [{ ...compare, prefix: 'b' }] }, 'if[0].key'],
      [{ if: [{ target: 'version', op: '=', value: 1 }] }, 'if[0].key'],
      [{ if: [{ key: 'a', op: '=', value: 1 }] }, 'if[0].target is missing'],
      [{ if: [{ key: 'a', target: 'value', op: '=' }] }, 'if[0].value is missing'],
      [{ then: [{}] }, 'then[0]'],
      [{ then: [{ put: { key: 'a' } }] }, 'then[0].put.value is missing'],
      [{ then: [{ put: { value: 'a' } }] }, 'then[0].put.key is missing'],
      [{ then: [{ put: { key: 'a', key_base64: 'YQ', value: '' } }] }, 'exclude each other'],
      [{ then: [{ put: { key_base64: '!', value: '' } }] }, 'then[0].put.key_base64'],
      [{ then: [{ put: { key: 'a', value: '', ttl: 3 } }] }, '"then[0].put.ttl"'],
      [{ then: [{ put: { key: 'a', value: '', prev: 'true' } }] }, 'then[0].put.prev'],
      [{ then: [{ get: { key: 'a' }, put: { key: 'a', value: '' } }] }, 'each object has one operation'],
      [{ then: [{ get: { key: '' } }] }, 'at least one byte'],
      [{ then: [{ get: { prefix: 'a', limit: 0 } }] }, 'then[0].get.limit'],
      [{ then: [{ get: { prefix: 'a', count_only: true, limit: 1 } }] }, 'count_only'],
      [{ then: [{ scan: {} }] }, '"then[0].scan"'],
      [{ else: [{ txn: { if: [{}] } }] }, 'else[0].txn.if[0]'],
      [[], 'the body must be an object'],
      ['', 'the body is empty'],
      ['{"then":[]', 'not JSON'],
      ['{"then":[],"then":[]}', '"then"'],
      ['{} x', 'not JSON'],
    ];
    for (const [body, part] of bad) expect(await fault(body), JSON.stringify(body)).toContain(part);
    expect((await refusal('POST /v1/txn?x=1', { body: '{}' })).detail).toContain('"x"');
  });

  it('API-V1-33: results stand in the order of the operations', async () => {
    const write = callOf('write', 'POST /v1/txn', { body: '{}' });
    const kv = { key: 'a', value: 'value of a', create_revision: 7, mod_revision: 9, version: 3 };
    const at = revision(40);
    const response = write
      .respond(
        txnOutcome(false, [
          { kind: 'put', revision: at, answer: { previous: null } },
          { kind: 'put', revision: at, answer: { previous: pair('a') } },
          { kind: 'range', revision: at, answer: { kvs: [pair('a')], more: true, count: 4 }, keysOnly: true },
          { kind: 'deleteRange', revision: at, answer: { deleted: 1, previous: [pair('a')] } },
          {
            kind: 'txn',
            answer: { succeeded: true, parts: [{ kind: 'put', revision: at, answer: { previous: null } }] },
          },
        ]),
        header,
      )
      .toResponse();
    const { value: _, ...keyOnly } = kv;
    expect(await response.json()).toEqual({
      revision: 40,
      succeeded: false,
      results: [
        { put: {} },
        { put: { prev: kv } },
        { get: { kvs: [keyOnly], count: 4, more: true } },
        { delete: { deleted: 1, prev: [kv] } },
        { txn: { succeeded: true, results: [{ put: {} }] } },
      ],
    });
  });

  it('API-V1-34: a transaction may be as large as a write and no larger', async () => {
    // Beside the value there are the key with 3 bytes, and a tag and a length, 4 bytes each, of value, put and
    // operation.
    const overhead = 3 + 4 + 4 + 4;
    callOf('write', 'POST /v1/txn', bodyOf(writeBytesMax - overhead));
    const large = await refusal('POST /v1/txn', bodyOf(writeBytesMax - overhead + 1));
    expect(large).toMatchObject({ status: 413, slug: 'request-too-large' });
  });
});

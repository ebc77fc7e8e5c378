import { describe, expect, it } from 'vitest';
import type { ReadResult } from '../../../src/api/contract.ts';
import { leaseId, revision } from '../../../src/model/brands.ts';
import { utf8 } from '../../../src/base/bytes.ts';
import { entityTagsMax, valueBytesMax, writeIdBytesMax } from '../../../src/limits.ts';
import { compareResult } from '../../../src/model/store.ts';
import { callOf, header, pair, problemOf, putPart, rangePart, refusal, txnOutcome } from '../wire.ts';

function keyIn(path: string): Uint8Array {
  return callOf('read', `GET ${path}`).request.key;
}

function txnOf(methodAndPath: string, headers: Record<string, string> = {}) {
  const { operation } = callOf('write', methodAndPath, { headers, body: 'v' });
  if (operation.kind !== 'txn') throw new Error(operation.kind);
  return operation.request;
}

/** Which branch the write stands in, and what the compares of the transaction are. */
function comparesOf(headers: Record<string, string>, method = 'PUT') {
  const { compare, success, failure } = txnOf(`${method} /v1/kv/a`, headers);
  const writes = success.some(({ kind }) => kind !== 'range') ? 'then' : 'else';
  expect([...success, ...failure].filter(({ kind }) => kind !== 'range').length).toBe(1);
  return [writes, ...compare.map((each) => [each.result, each.target === 'mod' ? each.operand : null])];
}

function tagsOf(count: number): string {
  return Array.from({ length: count }, (_, index) => `"${index + 1}"`).join(',');
}

function named(writeId: string): { readonly headers: Record<string, string> } {
  return { headers: { 'idempotency-key': writeId } };
}

function unlessKnown(tags: string): Response {
  return callOf('read', 'GET /v1/kv/a', { headers: { 'if-none-match': tags } })
    .respond(found(), header)
    .toResponse();
}

const leased = pair('a', { lease: leaseId(-5n) });

function found(kvs = [leased]): ReadResult {
  return { kind: 'answer', answer: { kvs, more: false, count: kvs.length } };
}

describe('keys in paths', () => {
  it('API-V1-1: a key is percent-encoded bytes; "/" and "+" stand for themselves', () => {
    expect(keyIn('/v1/kv/a')).toEqual(utf8('a'));
    expect(keyIn('/v1/kv/a/b//c/')).toEqual(utf8('a/b//c/'));
    expect(keyIn('/v1/kv/a%2Fb%20c+d')).toEqual(utf8('a/b c+d'));
    expect(keyIn('/v1/kv/%00%fF%25')).toEqual(new Uint8Array([0, 0xff, 0x25]));
    expect(keyIn('/v1/kv/%C3%A9é')).toEqual(utf8('éé'));
  });

  it('API-V1-2: a bad percent-encoding and an empty key are 400', async () => {
    for (const key of ['%', '%1', '%G0', '%0g', 'a%']) {
      expect(await refusal(`GET /v1/kv/${key}`), key).toMatchObject({ status: 400, slug: 'bad-request' });
    }
    for (const method of ['GET', 'PUT', 'DELETE']) {
      expect(await refusal(`${method} /v1/kv/`)).toMatchObject({ status: 400, slug: 'key-not-provided' });
    }
  });
});

describe('GET /v1/kv/{key}', () => {
  it('API-V1-3: answers raw bytes, with what is known of the key in headers', async () => {
    const read = callOf('read', 'GET /v1/kv/a');
    expect(read.serializable).toBe(false);
    const response = read.respond(found(), header).toResponse();
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toEqual({
      'cache-control': 'private, no-cache',
      'content-length': '10',
      'content-type': 'application/octet-stream',
      etag: '"9"',
      'quorate-create-revision': '7',
      'quorate-lease': '-5',
      'quorate-revision': '40',
      'quorate-version': '3',
      'x-content-type-options': 'nosniff',
    });
    expect(await response.text()).toBe('value of a');
    const head = callOf('read', 'HEAD /v1/kv/a').respond(found(), header).toResponse();
    expect(head.headers.get('content-length')).toBe('10');
    expect(await head.text()).toBe('');
  });

  it('API-V1-4: If-None-Match answers 304 for any tag that matches, weak or not, and *', () => {
    for (const tags of ['"9"', 'W/"9"', '*', '"1", "9"', '"x","9" ,W/"2"'])
      expect(unlessKnown(tags).status, tags).toBe(304);
    for (const tags of ['"8"', '"09"', '"9.0"', '"x"', '""']) expect(unlessKnown(tags).status, tags).toBe(200);
    expect(unlessKnown('"9"').headers.get('etag')).toBe('"9"');
  });

  it('API-V1-5: an absent key is 404 with the store’s revision, a compacted revision 410, a future one 400', async () => {
    const read = callOf('read', 'GET /v1/kv/a?revision=3&consistency=serializable');
    expect(read.request).toMatchObject({ revision: 3, serializable: true });
    const absent = await problemOf(read.respond(found([]), header).toResponse());
    expect(absent).toMatchObject({ status: 404, slug: 'key-not-found' });
    expect(absent.headers.get('quorate-revision')).toBe('40');
    const compacted = read
      .respond({ kind: 'failed', failure: { kind: 'compacted', compactedRevision: 8 } }, header)
      .toResponse();
    expect(await compacted.clone().json()).toMatchObject({ compacted_revision: 8 });
    expect(await problemOf(compacted)).toMatchObject({ status: 410, slug: 'compacted' });
    const future = read
      .respond({ kind: 'failed', failure: { kind: 'futureRevision', revision: 40 } }, header)
      .toResponse();
    expect(await problemOf(future)).toMatchObject({ status: 400, slug: 'future-revision' });
  });

  it('API-V1-6: a parameter that is unknown, stands twice or is out of bounds is refused by name', async () => {
    const bad = {
      'x=1': '"x"',
      'revision=0': 'revision',
      'revision=1e3': 'revision',
      'revision=-1': 'revision',
      'revision=9007199254740992': 'revision',
      'revision=1&revision=1': '"revision"',
      'consistency=x': 'consistency',
      'lease=1': '"lease"',
      '%zz=1': 'percent',
      'Revision=1': '"Revision"',
    };
    for (const [query, name] of Object.entries(bad)) {
      const problem = await refusal(`GET /v1/kv/a?${query}`);
      expect(problem.status).toBe(400);
      expect(problem.detail).toContain(name);
    }
    expect(callOf('read', 'GET /v1/kv/a?revision=9007199254740991').request.revision).toBe(Number.MAX_SAFE_INTEGER);
  });
});

describe('PUT and DELETE /v1/kv/{key}', () => {
  it('API-V1-7: a put is one transaction that reads back what it wrote, without the value', async () => {
    const write = callOf('write', 'PUT /v1/kv/a?lease=-9223372036854775808', { body: new Uint8Array([0, 255]) });
    if (write.operation.kind !== 'txn') throw new Error('not a txn');
    const { compare, success, failure } = write.operation.request;
    expect([compare, failure]).toEqual([[], []]);
    expect(success[0]).toMatchObject({
      kind: 'put',
      request: { key: utf8('a'), value: new Uint8Array([0, 255]), lease: -(2n ** 63n), previous: false },
    });
    expect(success[1]).toMatchObject({ kind: 'range', request: { key: utf8('a'), keysOnly: true } });
    const response = write.respond(txnOutcome(true, [putPart, rangePart([pair('a')])]), header).toResponse();
    expect(await response.json()).toEqual({ revision: 40, create_revision: 7, mod_revision: 9, version: 3 });
    expect(response.headers.get('etag')).toBe('"9"');
  });

  it('API-V1-8: If-Match and If-None-Match become compares on mod_revision', () => {
    const { notEqual, greater } = compareResult;
    expect(comparesOf({ 'if-match': '*' })).toEqual(['then', [greater, 0]]);
    expect(comparesOf({ 'if-none-match': '*' })).toEqual(['else', [greater, 0]]);
    expect(comparesOf({ 'if-match': '"17"' })).toEqual(['else', [notEqual, 17]]);
    expect(comparesOf({ 'if-match': '"17", "5"' })).toEqual(['else', [notEqual, 17], [notEqual, 5]]);
    expect(comparesOf({ 'if-none-match': '"17", "x"' })).toEqual(['then', [notEqual, 17], [notEqual, -1]]);
    expect(comparesOf({ 'if-match': '"17"' }, 'DELETE')).toEqual(['else', [notEqual, 17]]);
  });

  it('API-V1-9: where the condition fails the answer is 412 with the current tag', async () => {
    const write = callOf('write', 'PUT /v1/kv/a', { headers: { 'if-match': '"17"' } });
    const refused = await problemOf(write.respond(txnOutcome(true, [rangePart([pair('a')])]), header).toResponse());
    expect(refused).toMatchObject({ status: 412, slug: 'precondition-failed' });
    expect(refused.headers.get('etag')).toBe('"9"');
    const absent = await problemOf(write.respond(txnOutcome(true, [rangePart([])]), header).toResponse());
    expect(absent.headers.get('etag')).toBeNull();
    const held = write.respond(txnOutcome(false, [putPart, rangePart([pair('a')])]), header).toResponse();
    expect(held.status).toBe(200);
    const create = callOf('write', 'PUT /v1/kv/a', { headers: { 'if-none-match': '*' } });
    expect(create.respond(txnOutcome(true, [rangePart([pair('a')])]), header).toResponse().status).toBe(412);
  });

  it('API-V1-10: weak, malformed, too many and contradicting tags are refused', async () => {
    const bad = [
      'W/"17"',
      '17',
      '"17',
      '"1" "2"',
      '"1",',
      ',"1"',
      '',
      '*, "1"',
      '"a\u0001"',
      tagsOf(entityTagsMax + 1),
    ];
    for (const tags of bad)
      expect((await refusal('PUT /v1/kv/a', { headers: { 'if-match': tags } })).status, tags).toBe(400);
    expect(txnOf('PUT /v1/kv/a', { 'if-match': tagsOf(entityTagsMax) }).compare.length).toBe(entityTagsMax);
    const both = await refusal('PUT /v1/kv/a', { headers: { 'if-match': '*', 'if-none-match': '*' } });
    expect(both.detail).toContain('If-None-Match');
    expect((await refusal('GET /v1/kv/a', { headers: { 'if-match': '*' } })).status).toBe(400);
  });

  it('API-V1-11: a delete says how many keys went', async () => {
    const write = callOf('write', 'DELETE /v1/kv/a');
    const part = { kind: 'deleteRange', revision: revision(40), answer: { deleted: 1, previous: [] } } as const;
    const response = write.respond(txnOutcome(true, [part]), header).toResponse();
    expect(await response.json()).toEqual({ deleted: 1, revision: 40 });
  });

  it('API-V1-12: a value may be as large as the limit and no larger', async () => {
    expect(txnOf('PUT /v1/kv/a').success.length).toBe(2);
    callOf('write', 'PUT /v1/kv/a', { body: new Uint8Array(valueBytesMax) });
    const large = await refusal('PUT /v1/kv/a', { body: new Uint8Array(valueBytesMax + 1) });
    expect(large).toMatchObject({ status: 413, slug: 'value-too-large' });
  });

  it('API-V1-13: an Idempotency-Key names the write; one of another form is refused', async () => {
    const longest = 'k'.repeat(writeIdBytesMax);
    expect(callOf('write', 'PUT /v1/kv/a', named(longest)).writeId).toBe(longest);
    expect(callOf('write', 'POST /v3/kv/put', named('k')).writeId).toBe('k');
    expect(callOf('write', 'PUT /v1/kv/a').writeId).toBeNull();
    for (const writeId of [`${longest}k`, '', 'a b', 'é']) {
      expect((await refusal('PUT /v1/kv/a', named(writeId))).detail, writeId).toContain('Idempotency-Key');
    }
    expect(callOf('refused', 'POST /v3/kv/put', named('a b')).response.status).toBe(400);
  });

  it('API-V1-14: a lease is any integer of 64 bits', async () => {
    for (const lease of ['', 'x', '1.0', '9223372036854775808', '1e3', ' 1', '0x1']) {
      expect((await refusal(`PUT /v1/kv/a?lease=${encodeURIComponent(lease)}`)).detail, lease).toContain('lease');
    }
  });

  it('API-V1-15: a retry whose answer was not kept is told at which revision it was applied', async () => {
    for (const [method, path, sent] of [
      ['PUT', '/v1/kv/a', {}],
      ['DELETE', '/v1/kv?prefix=a', {}],
      ['POST', '/v1/txn', { body: '{}' }],
    ] as const) {
      const write = callOf('write', `${method} ${path}`, sent);
      const response = write.respond({ kind: 'appliedBefore', revision: revision(33) }, header).toResponse();
      expect(await response.clone().json()).toMatchObject({ revision: 33 });
      expect(await problemOf(response)).toMatchObject({ status: 409, slug: 'applied-before' });
    }
  });
});

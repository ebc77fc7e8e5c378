import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { leaseId, revision } from '../../../src/model/brands.ts';
import { compareBytes, equalBytes, utf8 } from '../../../src/base/bytes.ts';
import type { ReadCall } from '../../../src/api/contract.ts';
import { keyBytesMax, listLimitDefault, listLimitMax } from '../../../src/limits.ts';
import type { KeyValue } from '../../../src/model/store.ts';
import { callOf, header, pair, refusal } from '../wire.ts';

const none = new Uint8Array(1);

/** A store of fixed content that answers ranges as etcd would, as far as lists need it. */
function answerOf(read: ReadCall, content: readonly KeyValue[]): Response {
  const { key, rangeEnd, limit, sortOrder } = read.request;
  const found = content.filter((kv) => {
    const before = equalBytes(rangeEnd, none) || compareBytes(kv.key, rangeEnd) < 0;
    return before && compareBytes(kv.key, key) >= 0;
  });
  const ordered = sortOrder === 2 ? found.toReversed() : found;
  const kvs = read.request.countOnly ? [] : limit > 0 ? ordered.slice(0, limit) : ordered;
  return read
    .respond({ kind: 'answer', answer: { kvs, more: kvs.length < found.length, count: found.length } }, header)
    .toResponse();
}

function rangeOf(query: string): [number[], number[]] {
  const { key, rangeEnd } = callOf('read', `GET /v1/kv${query}`).request;
  return [[...key], [...rangeEnd]];
}

type Page = { kvs: { key: string }[]; count: number; cursor?: string; revision: number };

function countOnly(query: string): boolean {
  return callOf('read', `GET /v1/kv?${query}`).request.countOnly;
}

function keysOf(query: string): boolean {
  return callOf('timeToLive', `GET /v1/leases/5?${query}`).query.keys;
}

describe('GET /v1/kv', () => {
  it('API-V1-20: prefix, start and end, or nothing, name the range', () => {
    expect(rangeOf('')).toEqual([[0], [0]]);
    expect(rangeOf('?prefix=')).toEqual([[0], [0]]);
    expect(rangeOf('?prefix=a/')).toEqual([
      [97, 47],
      [97, 48],
    ]);
    expect(rangeOf('?prefix=a%ff')).toEqual([[97, 255], [98]]);
    expect(rangeOf('?prefix=%ff')).toEqual([[255], [0]]);
    expect(rangeOf('?start=b&end=d')).toEqual([[98], [100]]);
    expect(rangeOf('?start=b')).toEqual([[98], [0]]);
    expect(rangeOf('?end=b')).toEqual([[0], [98]]);
    expect(rangeOf('?start=&end=')).toEqual([[0], [0]]);
    expect(rangeOf('?prefix=a+b%2Bc')[0]).toEqual([...utf8('a b+c')]);
  });

  it('API-V1-21: contradictions and useless parameters are refused by name', async () => {
    const bad = ['prefix=a&start=b', 'end=%00', 'count_only=true&limit=3', 'count_only=true&keys_only=true', 'key=a'];
    for (const query of [...bad, 'limit=0', `limit=${listLimitMax + 1}`, 'order=ascend', 'keys_only=2']) {
      expect((await refusal(`GET /v1/kv?${query}`)).status, query).toBe(400);
    }
    expect(callOf('read', 'GET /v1/kv').request.limit).toBe(listLimitDefault);
    expect(callOf('read', `GET /v1/kv?limit=${listLimitMax}`).request.limit).toBe(listLimitMax);
    expect((await refusal('GET /v1/kv', { headers: { 'if-none-match': '*' } })).detail).toContain('If-None-Match');
  });

  it('API-V1-70: a flag is true or false, 1 or 0, or stands alone; anything else is refused by its name', async () => {
    for (const query of ['count_only', 'count_only=', 'count_only=1', 'count_only=true']) {
      expect(countOnly(query), query).toBe(true);
    }
    for (const query of ['', 'count_only=0', 'count_only=false']) expect(countOnly(query), query).toBe(false);
    expect(callOf('read', 'GET /v1/kv?keys_only=1').request.keysOnly).toBe(true);
    expect(callOf('watch', 'GET /v1/watch?prefix=&prev')).toMatchObject({ parameters: { previous: true } });
    expect(['', 'keys', 'keys=1', 'keys=0', 'keys=false'].map(keysOf)).toEqual([true, true, true, false, false]);
    const flags = ['/v1/kv?count_only', '/v1/kv?keys_only', '/v1/watch?prefix=&prev', '/v1/leases/5?keys'];
    for (const flag of flags) {
      for (const text of ['yes', 'True', '2', 'on', '%20', '%ff']) {
        const name = flag.split(/[?&]/).at(-1) ?? '';
        const { status, detail } = await refusal(`GET ${flag}=${text}`);
        expect([status, detail], flag).toEqual([400, `${name} must be true or false, 1 or 0, or stand alone for true`]);
      }
    }
  });

  it('API-V1-22: keys and values that are not UTF-8 come as base64 under another name', async () => {
    const content = [
      pair('é', { value: utf8('"\n') }),
      pair('', { key: new Uint8Array([0xff]), value: new Uint8Array([0xfe]), lease: leaseId(2n ** 62n) }),
    ];
    const { kvs } = await answerOf(callOf('read', 'GET /v1/kv'), content).json<{ kvs: unknown }>();
    expect(kvs).toEqual([
      { key: 'é', value: '"\n', create_revision: 7, mod_revision: 9, version: 3 },
      {
        key_base64: '/w==',
        value_base64: '/g==',
        create_revision: 7,
        mod_revision: 9,
        version: 3,
        lease: '4611686018427387904',
      },
    ]);
    const keysOnly = await answerOf(callOf('read', 'GET /v1/kv?keys_only=true'), [pair('a')]).json();
    expect(keysOnly).toEqual({
      kvs: [{ key: 'a', create_revision: 7, mod_revision: 9, version: 3 }],
      count: 1,
      revision: 40,
    });
    const counted = await answerOf(callOf('read', 'GET /v1/kv?count_only=true'), content).json();
    expect(counted).toEqual({ count: 2, revision: 40 });
  });

  it('API-V1-23: the pages of a cursor are one list: each key once, in order, of one revision, counted as a whole', async () => {
    const content = Array.from({ length: 23 }, (_, index) => pair(`p/${String(index).padStart(2, '0')}`));
    for (const order of ['asc', 'desc'] as const) {
      const keys: string[] = [];
      let cursor = '';
      let pages = 0;
      do {
        const read = callOf('read', `GET /v1/kv?prefix=p/&limit=5&order=${order}${cursor}`);
        expect(read.request.revision).toBe(pages === 0 ? 0 : 40);
        const page = await answerOf(read, content).json<Page>();
        expect([page.count, page.revision]).toEqual([23, 40]);
        keys.push(...page.kvs.map(({ key }) => key));
        cursor = page.cursor === undefined ? '' : `&cursor=${page.cursor}`;
        pages++;
      } while (cursor !== '');
      const expected = content.map(({ key }) => Buffer.from(key).toString());
      expect(keys).toEqual(order === 'asc' ? expected : expected.toReversed());
      expect(pages).toBe(5);
    }
  });

  it('API-V1-24: a cursor that was changed, or is of another list, is refused', async () => {
    const content = ['p/a', 'p/b', 'p/c'].map((key) => pair(key));
    const page = await answerOf(callOf('read', 'GET /v1/kv?prefix=p/&limit=1'), content).json<Page>();
    const cursor = page.cursor ?? '';
    callOf('read', `GET /v1/kv?prefix=p/&cursor=${cursor}&revision=40&limit=7&keys_only=true`);
    const others = ['prefix=p', 'prefix=p/&order=desc', 'start=p/', 'prefix=q/', '', 'prefix=p/&revision=39'];
    for (const query of others)
      expect((await refusal(`GET /v1/kv?${query}&cursor=${cursor}`)).detail, query).toContain('cursor');
    for (let place = 0; place < cursor.length; place++) {
      const changed = cursor.slice(0, place) + (cursor[place] === 'A' ? 'B' : 'A') + cursor.slice(place + 1);
      expect((await refusal(`GET /v1/kv?prefix=p/&cursor=${changed}`)).status, changed).toBe(400);
    }
    for (const broken of ['', 'x', `${cursor}A`, cursor.slice(1), '*', 'A'.repeat(100_000)]) {
      expect((await refusal(`GET /v1/kv?prefix=p/&cursor=${broken}`)).status).toBe(400);
    }
  });

  it('API-V1-25: the longest key has a cursor that is taken', async () => {
    const key = new Uint8Array(keyBytesMax).fill(0xff);
    const content = [pair('', { key }), pair('', { key: new Uint8Array(keyBytesMax + 1).fill(0xff) })];
    const page = await answerOf(callOf('read', 'GET /v1/kv?limit=1'), content).json<Page>();
    callOf('read', `GET /v1/kv?cursor=${page.cursor}`);
  });
});

describe('DELETE /v1/kv', () => {
  it('API-V1-26: needs a range; deletes it in one operation', async () => {
    expect((await refusal('DELETE /v1/kv')).detail).toContain('prefix');
    const write = callOf('write', 'DELETE /v1/kv?prefix=a');
    expect(write.operation).toEqual({
      kind: 'deleteRange',
      request: { key: utf8('a'), rangeEnd: utf8('b'), previous: false },
    });
    const answer = { deleted: 3, previous: [] };
    const response = write.respond({ kind: 'deleteRange', revision: revision(41), answer }, header).toResponse();
    expect(await response.json()).toEqual({ deleted: 3, revision: 41 });
    expect((await refusal('DELETE /v1/kv?prefix=a', { headers: { 'if-match': '"1"' } })).detail).toContain('If-Match');
    expect((await refusal('DELETE /v1/kv?prefix=a&limit=1')).detail).toContain('"limit"');
  });
});

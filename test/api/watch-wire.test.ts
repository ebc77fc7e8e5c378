import { describe, expect, it } from 'vitest';
import { MessageSplitter, type Split, splitFrame } from '../../src/api/v3/message-splitter.ts';
import { decodeWatchRequest } from '../../src/api/v3/watch.ts';
import {
  canceledFrame,
  createdFrame,
  encodeEvent,
  eventsFrame,
  ndjsonText,
  parseWatchFrame,
  progressFrame,
  sseText,
} from '../../src/api/v1/watch.ts';
import { revision } from '../../src/model/brands.ts';
import { concatBytes, emptyBytes, textOf, utf8 } from '../../src/base/bytes.ts';
import { requestBodyBytesMax, watchMessageBytesMax } from '../../src/limits.ts';
import type { StoreEvent } from '../../src/model/store.ts';
import { call, callOf, pair, refusal } from './wire.ts';

/** A message of this many bytes that asks for nothing. */
function message(bytes: number): string {
  return `{"x":"${'x'.repeat(bytes - 8)}"}`;
}

function split(bytes: number): Split {
  return new MessageSplitter().push(utf8(message(bytes)));
}

function textsIn(frame: string): (string | null)[] {
  return splitFrame(utf8(frame)).messages.map((bytes) => textOf(bytes));
}

const upgrade = { upgrade: 'websocket', connection: 'Upgrade' };

describe('v3 watch messages', () => {
  it('API-V3-20: a create request has everything that etcd knows, in both spellings', () => {
    const body =
      '{"createRequest":{"key":"YQ==","range_end":"Yg","startRevision":"7","progress_notify":true,' +
      '"filters":["NOPUT",1,"NOPE",9],"prevKv":true,"watch_id":9223372036854775807,"fragment":true}}';
    expect(decodeWatchRequest(utf8(body))).toEqual({
      kind: 'create',
      request: {
        key: utf8('a'),
        rangeEnd: utf8('b'),
        startRevision: 7,
        progressNotify: true,
        noPut: true,
        noDelete: true,
        previous: true,
        watchId: 9223372036854775807n,
        fragment: true,
      },
    });
  });

  it('API-V3-21: no key is the key "\\0"; none of the three requests is none; two are refused', () => {
    expect(decodeWatchRequest('{"create_request":{}}')).toMatchObject({
      request: { key: new Uint8Array(1), rangeEnd: emptyBytes, startRevision: 0, watchId: 0n },
    });
    for (const text of ['{}', '{"x":{}}', '{"create_request":null}', '']) {
      expect(decodeWatchRequest(text).kind, text).toBe('none');
    }
    expect(decodeWatchRequest('{"cancel_request":{"watchId":"-3"}}')).toEqual({ kind: 'cancel', watchId: -3n });
    expect(decodeWatchRequest('{"progress_request":{"x":1}}').kind).toBe('progress');
    for (const text of [
      '{"progress_request":{},"cancel_request":{}}',
      '[]',
      '{',
      '{"create_request":{"filters":[null]}}',
    ]) {
      expect(decodeWatchRequest(text).kind, text).toBe('malformed');
    }
  });

  it('API-V3-22: a message may be as large as the limit and no larger', () => {
    expect(split(watchMessageBytesMax)).toMatchObject({ messages: [expect.anything()], fault: null });
    expect(split(watchMessageBytesMax + 1)).toMatchObject({ messages: [], fault: expect.any(String) });
    const endless = new MessageSplitter();
    let pushed = 0;
    endless.push(utf8('{"x":"'));
    while (endless.push(utf8('y'.repeat(1_000))).fault === null) pushed += 1_000;
    expect(pushed).toBeLessThanOrEqual(watchMessageBytesMax);
    // The bytes are copied one by one: as the arguments of one call they would not fit the stack.
    const slow = new MessageSplitter(requestBodyBytesMax);
    for (const byte of utf8(message(300_000)).subarray(0, -1)) slow.push(Uint8Array.of(byte));
    expect(slow.push(utf8('}')).messages).toEqual([utf8(message(300_000))]);
  });

  it('API-V3-35: a frame holds the messages of a body, as large as one, and must not end inside a message', () => {
    expect(textsIn('{"a":1}\n{"b":"}{"}\n{"c":1}')).toEqual(['{"a":1}', '{"b":"}{"}', '{"c":1}']);
    expect(textsIn(' \n')).toEqual([]);
    expect(splitFrame(utf8('{"a":1}{"b"'))).toMatchObject({ messages: [{}], fault: 'the frame ends inside a message' });
    expect(splitFrame(utf8('{"a":1} b'))).toMatchObject({ messages: [{}], fault: 'expected a JSON object' });
    expect(splitFrame(utf8(message(requestBodyBytesMax)))).toMatchObject({ messages: [{}], fault: null });
    expect(splitFrame(utf8(`${message(requestBodyBytesMax)} `)).fault).toContain(
      `at most ${requestBodyBytesMax} bytes`,
    );
  });

  it('API-V3-23: a body is cut into its messages wherever its chunks begin and end', () => {
    const messages = ['{"create_request":{"key":"}{"}}', '{"a":"\\"}\\\\"}', '{}', '{"b":[{"c":"]"}],"d":"\u{1f600}"}'];
    const body = utf8(` ${messages[0]}\n${messages[1]}${messages[2]}\r\n\t${messages[3]} `);
    for (let first = 0; first <= body.byteLength; first++) {
      for (const second of [first, first + 1, first + 7]) {
        const splitter = new MessageSplitter();
        const chunks = [body.slice(0, first), body.slice(first, second), body.slice(second)];
        const found = chunks.flatMap((chunk) => splitter.push(chunk).messages.map((bytes) => textOf(bytes)));
        expect(found, `${first}, ${second}`).toEqual(messages);
        expect(splitter.end()).toBeNull();
      }
    }
  });

  it('API-V3-24: what is no object ends the reading, after the messages before it', () => {
    for (const rest of [']', '1', '"x"', 'null', '}', ',']) {
      const splitter = new MessageSplitter();
      const split = splitter.push(utf8(`{"a":1}{"b":2} ${rest} {}`));
      expect([split.messages.length, typeof split.fault], rest).toEqual([2, 'string']);
      expect(splitter.push(utf8('{}')).messages).toEqual([]);
    }
    const cut = new MessageSplitter();
    cut.push(utf8('{"a":'));
    expect(cut.end()).toContain('inside a message');
  });

  it('API-V3-25: a POST is a stream, a GET an upgrade or 501; the Bearer subprotocol is taken', () => {
    expect(call('POST /v3/watch')).toMatchObject({ kind: 'watch', protocol: 'v3', transport: 'post', timeoutMs: null });
    const socket = call('GET /v3beta/watch', {
      headers: { ...upgrade, 'sec-websocket-protocol': 'x, Bearer, key', 'grpc-timeout': '2M' },
    });
    expect(socket).toMatchObject({ transport: 'websocket', accepted: 'Bearer', timeoutMs: 120_000 });
    expect(callOf('watch', 'GET /v3/watch', { headers: upgrade }).accepted).toBeNull();
    expect(callOf('refused', 'GET /v3/watch').response.status).toBe(501);
    expect(
      call('GET /v3beta/kv/put', { headers: { ...upgrade, 'sec-websocket-protocol': 'Bearer, key' } }),
    ).toMatchObject({ kind: 'frames', path: '/v3beta/kv/put', accepted: 'Bearer' });
  });
});

function watch(query: string, headers: Record<string, string> = {}) {
  const parsed = callOf('watch', `GET /v1/watch?${query}`, { headers });
  if (parsed.protocol !== 'v1') throw new Error(parsed.protocol);
  return parsed;
}

describe('GET /v1/watch', () => {
  it('API-V1-40: names what is watched, from where, and whether with the pair before', () => {
    expect(watch('key=a').parameters).toEqual({
      range: { key: utf8('a'), rangeEnd: emptyBytes },
      from: null,
      previous: false,
    });
    expect(watch('prefix=a/&from=17&prev=true').parameters).toEqual({
      range: { key: utf8('a/'), rangeEnd: utf8('a0') },
      from: 17,
      previous: true,
    });
  });

  it('API-V1-41: the transport is that of the request; Last-Event-ID goes before from', async () => {
    expect(watch('prefix=', upgrade).transport).toBe('websocket');
    expect(watch('prefix=', { accept: 'text/html, Text/Event-Stream;q=0.9' }).transport).toBe('sse');
    expect(watch('prefix=', { accept: '*/*' }).transport).toBe('ndjson');
    expect(watch('prefix=', { accept: 'text/event-stream; q=0.0, */*' }).transport).toBe('ndjson');
    expect(watch('prefix=', { ...upgrade, 'sec-websocket-protocol': 'Bearer, k' }).accepted).toBe('Bearer');
    expect(watch('prefix=&from=3', { 'last-event-id': '17' }).parameters.from).toBe(18);
    expect(watch('prefix=&from=3', { 'last-event-id': '' }).parameters.from).toBe(3);
    for (const id of ['x', '-1', '1.5', '9'.repeat(16)]) {
      expect((await refusal('GET /v1/watch?prefix=', { headers: { 'last-event-id': id } })).detail).toContain(
        'Last-Event-ID',
      );
    }
  });

  it('API-V1-42: a watch of nothing, and any other parameter, is refused by name', async () => {
    for (const query of ['', 'key=', 'key=a&prefix=b', 'key=a&from=0', 'key=a&prev=2', 'key=a&x=1', 'key=a&key=b']) {
      expect((await refusal(`GET /v1/watch?${query}`)).status, query).toBe(400);
    }
  });

  const events: StoreEvent[] = [
    { type: 'put', kv: pair('a'), previous: pair('a', { modRevision: revision(8), version: 2 }) },
    { type: 'delete', kv: pair('b', { value: emptyBytes, version: 0, createRevision: revision(0) }), previous: null },
  ];

  const eventsText = (previous: boolean): string => events.map((event) => encodeEvent(event, previous)).join(',');

  it('API-V1-43: frames are JSON with type and revision; an event has its pair, and the one before if asked', () => {
    const kv = { key: 'a', value: 'value of a', create_revision: 7, mod_revision: 9, version: 3 };
    expect(JSON.parse(eventsFrame(9, eventsText(true)).json)).toEqual({
      type: 'events',
      revision: 9,
      events: [
        { type: 'put', kv, prev: { ...kv, mod_revision: 8, version: 2 } },
        { type: 'delete', kv: { key: 'b', mod_revision: 9 } },
      ],
    });
    expect(eventsText(false)).not.toContain('prev');
    expect(JSON.parse(createdFrame({ revision: 9, from: 3 }).json)).toEqual({ type: 'created', revision: 9, from: 3 });
    expect(JSON.parse(progressFrame(9).json)).toEqual({ type: 'progress', revision: 9 });
    expect(JSON.parse(canceledFrame(9, { reason: 'slow', resumeFrom: 5 }).json)).toEqual({
      type: 'canceled',
      revision: 9,
      reason: 'slow',
      resume_from: 5,
    });
    const failure = { kind: 'compacted', compactedRevision: 8 } as const;
    expect(JSON.parse(canceledFrame(9, { reason: 'failed', failure }).json)).toMatchObject({
      type: 'canceled',
      reason: 'failed',
      problem: { type: 'urn:quorate:problem:compacted', compacted_revision: 8 },
    });
  });

  it('API-V1-44: the id of a server-sent event never claims a revision that was not told of', () => {
    expect(sseText(createdFrame({ revision: 9, from: 3 }))).toMatch(/^id: 2\nevent: created\ndata: \{.*\}\n\n$/);
    expect(sseText(eventsFrame(9, eventsText(true)))).toMatch(/^id: 9\nevent: events\ndata: [^\n]*\n\n$/);
    expect(sseText(canceledFrame(9, { reason: 'slow', resumeFrom: 5 }))).toMatch(/^event: canceled\n/);
    expect(ndjsonText(progressFrame(9))).toBe('{"type":"progress","revision":9}\n');
    const lineBreaks = pair('a', { value: utf8('\n\r\u2028') });
    expect(encodeEvent({ type: 'put', kv: lineBreaks, previous: null }, false)).not.toMatch(/[\n\r]/);
  });

  it('API-V1-45: a client may ask for progress, and for nothing else', () => {
    expect(parseWatchFrame(' {"type": "progress"} ')).toBe('progress');
    expect(parseWatchFrame(utf8('{"type":"progress"}'))).toBe('progress');
    for (const frame of [
      '',
      '{}',
      '{"type":"progress","x":1}',
      'progress',
      concatBytes(utf8('{'), new Uint8Array([255])),
    ]) {
      expect(parseWatchFrame(frame)).toBe('unknown');
    }
  });
});

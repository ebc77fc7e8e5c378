// The same bytes to the front and to the runtime behind it, on one server: both must judge alike. Where a message can
// be read in two ways, or is none, the front is strict, and nothing of it reaches the runtime.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Front } from '../../src/front/front.ts';
import { startQuorate, type QuorateProcess } from '../support/quorate-process.ts';
import { ask, type Answer, RawClient } from './raw-client.ts';

let server: QuorateProcess;
let front: Front;
let directPort: number;

beforeAll(async () => {
  server = await startQuorate({ arguments: ['--direct'] });
  directPort = Number(new URL(server.ready.url).port);
  front = await Front.listen({ host: '127.0.0.1', port: 0 });
  front.open({ host: '127.0.0.1', port: directPort });
  await ask(directPort, withKey('PUT /v1/kv/there HTTP/1.1', 'Content-Length: 1', '', '1'));
});

afterAll(async () => {
  await front.close();
  await server.dispose();
});

const key = (): string => server.ready.tenant.key;

/** Lines of a request: those behind the empty one are its body, without line ends. */
function lines(...text: readonly string[]): string {
  const end = text.indexOf('');
  const head = end < 0 ? text : text.slice(0, end);
  const body = end < 0 ? [] : text.slice(end + 1);
  return `${head.join('\r\n')}\r\n\r\n${body.join('')}`;
}

function plain(first: string, ...rest: readonly string[]): string {
  return lines(first, 'Host: store', ...rest);
}

function withKey(first: string, ...rest: readonly string[]): string {
  return lines(first, 'Host: store', `Quorate-Key: ${key()}`, ...rest);
}

function numberless(text: string): string {
  return text.replaceAll(/\d+/g, '#');
}

/** A write moves the store's revision, which shows in many places. Each request has its own id. */
function withoutNumbers(answer: Answer): Answer {
  const headers = answer.headers.filter((line) => !/^x-request-id:/i.test(line)).map(numberless);
  return { ...answer, headers, body: numberless(answer.body.replace(/"request_id":"[^"]*"/, '')) };
}

const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
const handshake = [...upgrade, 'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg=='];
const chunks = ['', '2\r\nxy\r\n0\r\n\r\n'];

const alike: Readonly<Record<string, () => string>> = {
  'a GET': () => plain('GET /healthz HTTP/1.1'),
  'no Host': () => lines('GET /healthz HTTP/1.1'),
  'an empty Host': () => lines('GET /healthz HTTP/1.1', 'Host:'),
  'two Hosts': () => lines('GET /healthz HTTP/1.1', 'Host: a', 'Host: b'),
  'a Host that is none': () => lines('GET /v1/kv/there HTTP/1.1', 'Host: [', `Quorate-Key: ${key()}`),
  'HTTP/1.0': () => plain('GET /healthz HTTP/1.0'),
  'HTTP/1.0 without Host': () => lines('GET /healthz HTTP/1.0'),
  'HTTP/1.0, a stored value': () => withKey('GET /v1/kv/there HTTP/1.0'),
  HEAD: () => plain('HEAD /healthz HTTP/1.1'),
  'HEAD of a key': () => withKey('HEAD /v1/kv/there HTTP/1.1'),
  'HEAD of no key': () => withKey('HEAD /v1/kv/none HTTP/1.1'),
  'a body with its length': () => withKey('PUT /v1/kv/a HTTP/1.1', 'Content-Length: 2', '', 'xy'),
  'a body in chunks': () => withKey('PUT /v1/kv/a HTTP/1.1', 'Transfer-Encoding: chunked', ...chunks),
  'chunks, in other letters': () => withKey('PUT /v1/kv/a HTTP/1.1', 'Transfer-Encoding: Chunked', ...chunks),
  'a chunk with an extension': () =>
    withKey('PUT /v1/kv/a HTTP/1.1', 'Transfer-Encoding: chunked', '', '2;a=b\r\nxy\r\n0\r\n\r\n'),
  'a trailer': () =>
    withKey('PUT /v1/kv/a HTTP/1.1', 'Transfer-Encoding: chunked', 'Trailer: X', '', '2\r\nxy\r\n0\r\nX: y\r\n\r\n'),
  'a trailer that is a credential': () =>
    plain('PUT /v1/kv/a HTTP/1.1', 'Transfer-Encoding: chunked', '', `2\r\nxy\r\n0\r\nQuorate-Key: ${key()}\r\n\r\n`),
  'chunks of a coding that is not taken': () =>
    withKey('PUT /v1/kv/a HTTP/1.1', 'Transfer-Encoding: gzip, chunked', ...chunks),
  'no body at all': () => withKey('PUT /v1/kv/a HTTP/1.1'),
  'a POST without a body': () => withKey('POST /v3/kv/put HTTP/1.1'),
  'a GET with a body': () => withKey('GET /v1/kv/there HTTP/1.1', 'Content-Length: 2', '', 'xy'),
  'a DELETE with a body': () => withKey('DELETE /v1/kv/none HTTP/1.1', 'Content-Length: 2', '', 'xy'),
  'a body that is awaited': () => withKey('PUT /v1/kv/a HTTP/1.1', 'Expect: 100-continue', 'Content-Length: 2'),
  'a body that is awaited, of nobody': () =>
    plain('PUT /v1/kv/a HTTP/1.1', 'Quorate-Key: none', 'Expect: 100-continue', 'Content-Length: 2'),
  'another expectation': () => withKey('PUT /v1/kv/a HTTP/1.1', 'Expect: gifts', 'Content-Length: 2', '', 'xy'),
  'bad credentials and a bad body': () =>
    plain('POST /v3/kv/put HTTP/1.1', 'Quorate-Key: none', 'Content-Length: 3', '', '{{{'),
  'no credentials and a bad body': () => plain('POST /v3/kv/put HTTP/1.1', 'Content-Length: 3', '', '{{{'),
  'a bad body': () => withKey('POST /v3/kv/put HTTP/1.1', 'Content-Length: 3', '', '{{{'),
  'two credentials': () => withKey('GET /v1/kv/there HTTP/1.1', 'Quorate-Key: none'),
  'a credential of another kind': () =>
    plain('GET /v1/kv/there HTTP/1.1', `Authorization: Basic ${Buffer.from(`me:${key()}`).toString('base64')}`),
  'two conditions': () => withKey('GET /v1/kv/there HTTP/1.1', 'If-None-Match: "1"', 'If-None-Match: "2"'),
  'a header that Connection names': () => withKey('GET /v1/kv/there HTTP/1.1', 'Connection: Quorate-Key'),
  'a condition that Connection names': () =>
    withKey('PUT /v1/kv/there HTTP/1.1', 'Connection: If-Match', 'If-Match: "9"', 'Content-Length: 1', '', 'x'),
  'Connection: close': () => plain('GET /healthz HTTP/1.1', 'Connection: close'),
  'TE and Trailer': () => withKey('GET /v1/kv/there HTTP/1.1', 'TE: trailers', 'Trailer: X'),
  'three thousand headers': () => plain('GET /healthz HTTP/1.1', ...Array<string>(3_000).fill('X: y')),
  'a credential behind two thousand headers': () =>
    plain('GET /v1/kv/there HTTP/1.1', ...Array<string>(2_500).fill('X: y'), `Quorate-Key: ${key()}`),
  'a header of 60 kB': () => plain('GET /healthz HTTP/1.1', `X: ${'x'.repeat(60_000)}`),
  'an empty header': () => plain('GET /healthz HTTP/1.1', 'X:'),
  'empty lines before it': () => `\r\n\r\n${plain('GET /healthz HTTP/1.1')}`,
  'dot segments': () => plain('GET /v1/../healthz HTTP/1.1'),
  'dot segments, percent-encoded': () => plain('GET /v1/%2e%2E/healthz HTTP/1.1'),
  'dot segments in a key': () => withKey('GET /v1/kv/x/../there HTTP/1.1'),
  'a backslash in a key': () => withKey('GET /v1/kv/x\\..\\there HTTP/1.1'),
  'two slashes': () => withKey('GET //v1/kv/there HTTP/1.1'),
  'a fragment': () => plain('GET /healthz#there HTTP/1.1'),
  'a query in a query': () => withKey('GET /v1/kv?prefix=a?b&limit=1 HTTP/1.1'),
  'the absolute form': () => plain('GET http://elsewhere/healthz HTTP/1.1'),
  'the absolute form, https': () => plain('GET https://elsewhere/healthz HTTP/1.1'),
  'the absolute form of a call': () => withKey('GET http://elsewhere/v1/kv/there HTTP/1.1'),
  'the absolute form without a path': () => plain('GET http://elsewhere HTTP/1.1'),
  'OPTIONS *': () => plain('OPTIONS * HTTP/1.1'),
  'a preflight': () => plain('OPTIONS /v1/kv/a HTTP/1.1', 'Origin: https://page', 'Access-Control-Request-Method: PUT'),
  TRACE: () => plain('TRACE /healthz HTTP/1.1'),
  'a method of others': () => plain('MKCOL /healthz HTTP/1.1'),
  'an upgrade to h2c': () =>
    withKey('GET /v1/kv/there HTTP/1.1', 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMA'),
  'an upgrade of a POST to h2c': () =>
    withKey(
      'POST /v3/kv/range HTTP/1.1',
      'Connection: Upgrade',
      'Upgrade: h2c',
      'Content-Length: 14',
      '',
      '{"key":"YQ=="}',
    ),
  'an upgrade to one of several': () =>
    withKey('GET /v1/kv/there HTTP/1.1', 'Connection: Upgrade', 'Upgrade: x, websocket'),
  'a WebSocket': () => withKey('GET /v1/watch?key=a HTTP/1.1', ...handshake),
  'a WebSocket, in other letters': () =>
    withKey('GET /v1/watch?key=a HTTP/1.1', ...handshake.map((line) => line.replace('websocket', 'WebSocket'))),
  'a WebSocket of nobody': () => plain('GET /v1/watch?key=a HTTP/1.1', ...handshake),
  'a WebSocket that a page may not have': () => plain('GET /v3/watch HTTP/1.1', 'Origin: https://page', ...handshake),
  'a WebSocket without a key of its own': () => withKey('GET /v1/watch?key=a HTTP/1.1', ...upgrade),
  'a WebSocket of an old version': () =>
    withKey('GET /v1/watch?key=a HTTP/1.1', ...handshake.map((line) => line.replace('13', '12'))),
  'an upgrade that no path takes': () => withKey('GET /v1/kv/there HTTP/1.1', ...handshake),
  'a stream': () => withKey('GET /v1/watch?key=a HTTP/1.1'),
  'a stream of events': () => withKey('GET /v1/watch?key=a HTTP/1.1', 'Accept: text/event-stream'),
};

function putChunks(body: string): string {
  return withKey('PUT /v1/kv/smuggled HTTP/1.1', 'Transfer-Encoding: chunked', '', body);
}

function badChunks(
  bodies: Readonly<Record<string, string>>,
): Readonly<Record<string, readonly [number, () => string]>> {
  return Object.fromEntries(
    Object.entries(bodies).map(([name, body]) => [`a chunk ${name}`, [400, () => putChunks(body)]]),
  );
}

/** What is no message of HTTP/1.1, by the status of the runtime's refusal. */
const refusedAlike: Readonly<Record<string, readonly [number, () => string]>> = {
  'a length that is no number': [400, () => withKey('PUT /v1/kv/a HTTP/1.1', 'Content-Length: 0x2', '', 'xy')],
  'a length with a sign': [400, () => withKey('PUT /v1/kv/a HTTP/1.1', 'Content-Length: +2', '', 'xy')],
  'a negative length': [400, () => withKey('PUT /v1/kv/a HTTP/1.1', 'Content-Length: -2', '', 'xy')],
  'an empty length': [400, () => withKey('PUT /v1/kv/a HTTP/1.1', 'Content-Length:')],
  'two lengths': [400, () => withKey('PUT /v1/kv/a HTTP/1.1', 'Content-Length: 2', 'Content-Length: 3', '', 'xyz')],
  'a list of lengths': [400, () => withKey('PUT /v1/kv/a HTTP/1.1', 'Content-Length: 2, 2', '', 'xy')],
  'a coding that is none': [400, () => withKey('PUT /v1/kv/a HTTP/1.1', 'Transfer-Encoding: gzip', ...chunks)],
  'a last coding that is not chunked': [
    400,
    () => withKey('PUT /v1/kv/a HTTP/1.1', 'Transfer-Encoding: chunked, gzip', ...chunks),
  ],
  'the coding identity': [
    400,
    () => withKey('PUT /v1/kv/a HTTP/1.1', 'Transfer-Encoding: identity', 'Content-Length: 2', '', 'xy'),
  ],
  'a chunk without a size': [
    400,
    () => withKey('PUT /v1/kv/a HTTP/1.1', 'Transfer-Encoding: chunked', '', 'zz\r\nxy\r\n0\r\n\r\n'),
  ],
  ...badChunks({
    'whose size has a sign': '+2\r\nxy\r\n0\r\n\r\n',
    'whose size has a prefix': '0x2\r\nxy\r\n0\r\n\r\n',
    'whose size is behind a space': ' 2\r\nxy\r\n0\r\n\r\n',
    'whose size has more than 64 bits': 'FFFFFFFFFFFFFFFFF\r\nxy\r\n0\r\n\r\n',
    'whose size ends in LF': '2\nxy\r\n0\r\n\r\n',
    'whose size ends in CR': '2\rxy\r\n0\r\n\r\n',
    'behind whose data is no line end': '2\r\nxy0\r\n\r\n',
    'behind whose data is an LF': '2\r\nxy\n0\r\n\r\n',
    'with more data than its size': '2\r\nxyz\r\n0\r\n\r\n',
    'whose extension ends in LF': '2;a\nxy\r\n0\r\n\r\n',
    'behind which comes no trailer': '2\r\nxy\r\n0\r\nnonsense\r\n\r\n',
  }),
  'a coding in quotes': [400, () => withKey('PUT /v1/kv/a HTTP/1.1', 'Transfer-Encoding: "chunked"', ...chunks)],
  'a coding with a parameter': [400, () => withKey('PUT /v1/kv/a HTTP/1.1', 'Transfer-Encoding: chunked;a', ...chunks)],
  'a coding behind a vertical tab': [
    400,
    () => withKey('PUT /v1/kv/a HTTP/1.1', 'Transfer-Encoding: \u000bchunked', ...chunks),
  ],
  'a length of more than 64 bits': [
    400,
    () => withKey('PUT /v1/kv/a HTTP/1.1', 'Content-Length: 18446744073709551618', '', 'xy'),
  ],
  'a space before the colon': [400, () => lines('GET /healthz HTTP/1.1', 'Host : h')],
  'a folded field': [400, () => plain('GET /healthz HTTP/1.1', 'X: a', ' b')],
  'a NUL in a field': [400, () => plain('GET /healthz HTTP/1.1', 'X: a\0b')],
  'a CR in a field': [400, () => plain('GET /healthz HTTP/1.1', 'X: a\rb')],
  'a field without a colon': [400, () => plain('GET /healthz HTTP/1.1', 'X')],
  'a field name that is none': [400, () => plain('GET /healthz HTTP/1.1', 'X(: a')],
  'a byte in a target that is no UTF-8': [400, () => withKey('GET /v1/kv/caf\u00e9 HTTP/1.1')],
  'a control character in a target': [400, () => withKey('GET /v1/kv/a\u0001b HTTP/1.1')],
  'a space in a target': [400, () => withKey('GET /v1/kv/a b HTTP/1.1')],
  'a backslash in place of a slash': [400, () => plain('GET \\healthz HTTP/1.1')],
  'no version': [400, () => lines('GET /healthz')],
  'a greeting of TLS': [400, () => '\u0016\u0003\u0001\u0002\r\n\r\n'],
  'chunks of HTTP/1.0': [400, () => withKey('PUT /v1/kv/a HTTP/1.0', 'Transfer-Encoding: chunked', ...chunks)],
  'a method that nobody knows': [501, () => plain('FETCH /healthz HTTP/1.1')],
  'a method in small letters': [501, () => plain('get /healthz HTTP/1.1')],
};

/** What the runtime takes, or refuses in another way. */
const stricter: Readonly<Record<string, readonly [number, () => string]>> = {
  'a length beside chunks': [
    400,
    () => withKey('PUT /v1/kv/smuggled HTTP/1.1', 'Content-Length: 2', 'Transfer-Encoding: chunked', ...chunks),
  ],
  'a length twice': [
    400,
    () => withKey('PUT /v1/kv/smuggled HTTP/1.1', 'Content-Length: 2', 'Content-Length: 2', '', 'xy'),
  ],
  'chunks twice': [
    400,
    () => withKey('PUT /v1/kv/smuggled HTTP/1.1', ...Array<string>(2).fill('Transfer-Encoding: chunked'), ...chunks),
  ],
  ...badChunks({
    'with a space behind its size': '2 \r\nxy\r\n0\r\n\r\n',
    'with a NUL in its extension': '2;a\0\r\nxy\r\n0\r\n\r\n',
    'behind which the last line ends in LF': '2\r\nxy\r\n0\r\n\n',
    'behind which a trailer says a length': '2\r\nxy\r\n0\r\nContent-Length: 1\r\n\r\n',
    'behind which a trailer ends in LF': '2\r\nxy\r\n0\r\nX: y\n\r\n',
  }),
  'a field behind a line that ends in LF': [
    400,
    () => withKey('PUT /v1/kv/smuggled HTTP/1.1', 'X: a\nTransfer-Encoding: chunked', ...chunks),
  ],
  'lines that end in LF alone': [400, () => withKey('PUT /v1/kv/smuggled HTTP/1.1').replaceAll('\r', '')],
  'a target in UTF-8': [400, () => withKey('PUT /v1/kv/smuggled\u00c3\u00a9 HTTP/1.1')],
  'a target without a slash': [400, () => plain('GET healthz HTTP/1.1')],
  'another version of HTTP': [505, () => plain('GET /healthz HTTP/2.0')],
  'what begins as the preface of HTTP/2 does': [400, () => 'PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n'],
  CONNECT: [501, () => lines('CONNECT elsewhere:80 HTTP/1.1', 'Host: elsewhere')],
  'a head that is too large': [431, () => plain('GET /healthz HTTP/1.1', `X: ${'x'.repeat(140_000)}`)],
};

describe('FRONT-1: the front and the runtime answer alike', () => {
  it.each(Object.entries(alike))('%s', async (_, request) => {
    const direct = withoutNumbers(await ask(directPort, request()));
    const passed = withoutNumbers(await ask(front.port, request()));
    expect(direct.status).not.toBe(0);
    expect({ ...passed, isKept: true }).toEqual({ ...direct, isKept: true });
  });
});

describe('API-HOST-1: a Host that is no host is refused alike by the front and the runtime, on every path', () => {
  const hosts = ['a b', '[', 'x:99999', 'x:abc', 'a/b', 'a?b', 'a@b', '%zz', '999.1.1.1', 'a\r\nHost: b', ''];
  it.each(hosts)('%j', async (host) => {
    for (const path of ['/v1/tenants', '/v1/audit', '/v1/kv/there', '/v3/kv/range', '/healthz', '/none']) {
      const token = path === '/v1/tenants' || path === '/v1/audit' ? server.ready.operatorToken : key();
      const method = path.startsWith('/v3') ? 'POST' : 'GET';
      const request = lines(`${method} ${path} HTTP/1.1`, `Host: ${host}`, `Authorization: Bearer ${token}`);
      const [direct, byFront] = [await ask(directPort, request), await ask(front.port, request)];
      expect([path, direct.status]).toEqual([path, 400]);
      expect(withoutNumbers(byFront)).toEqual(withoutNumbers(direct));
      // The runtime itself refuses an empty one.
      if (host !== '') expect(direct.body).toContain('the header Host must be one host');
    }
  });
});

describe('FRONT-2: what is no request is refused by both, and the connection ends', () => {
  it.each(Object.entries(refusedAlike))('%s', async (_, [status, request]) => {
    expect((await ask(directPort, request())).status).toBe(status);
    const { isKept, ...refused } = await ask(front.port, request());
    expect([refused.status, isKept]).toEqual([status, false]);
  });
});

describe('FRONT-3: what the runtime takes and others could read in another way is refused', () => {
  it.each(Object.entries(stricter))('%s', async (_, [status, request]) => {
    const { isKept, ...refused } = await ask(front.port, request());
    expect([refused.status, isKept]).toEqual([status, false]);
    const left = await ask(directPort, withKey('GET /v1/kv?prefix=smuggled HTTP/1.1'));
    expect(left.body).toContain('"kvs":[]');
  });

  it('a second request hidden in the body of a first one is part of that body', async () => {
    const hidden = withKey('PUT /v1/kv/smuggled HTTP/1.1', 'Content-Length: 1', '', 'x');
    const answer = await ask(
      front.port,
      withKey('PUT /v1/kv/a HTTP/1.1', `Content-Length: ${hidden.length}`, '', hidden),
    );
    expect(answer.status).toBe(200);
    const left = await ask(directPort, withKey('GET /v1/kv?prefix=smuggled HTTP/1.1'));
    expect(left.body).toContain('"kvs":[]');
  });
});

describe('a body that the Worker does not read to its end is answered', () => {
  const megabyte = 'x'.repeat(1_048_576);
  const inChunks = ['', `100000\r\n${megabyte}\r\n0\r\n\r\n`];

  it.each<[string, number, () => string]>([
    [
      'FRONT-18: of nobody',
      401,
      () => plain('PUT /v1/kv/a HTTP/1.1', 'Quorate-Key: none', 'Content-Length: 1048576', '', megabyte),
    ],
    ['FRONT-18: in chunks', 404, () => plain('POST /none HTTP/1.1', 'Transfer-Encoding: chunked', ...inChunks)],
    ['FRONT-18: of a GET', 200, () => plain('GET /openapi.json HTTP/1.1', 'Content-Length: 1048576', '', megabyte)],
    ['FRONT-19: of a stream', 400, () => withKey('POST /v3/watch HTTP/1.1', 'Transfer-Encoding: chunked', ...inChunks)],
  ])('%s', async (_, status, request) => {
    // The runtime ends the connection some microseconds after the answer, so one try shows little.
    for (let nth = 0; nth < 40; nth++) expect((await ask(front.port, request())).status).toBe(status);
  });

  it('FRONT-18: a large value is stored, whether or not its client waits until it is wanted', async () => {
    for (const expectation of [[], ['Expect: 100-continue']]) {
      const client = new RawClient(front.port);
      client.send(withKey('PUT /v1/kv/large HTTP/1.1', 'Content-Length: 1048576', ...expectation));
      if (expectation.length > 0) await client.until((text) => text.includes(' 100 '));
      client.send(megabyte);
      expect(await client.until((text) => text.endsWith('}'))).toContain(' 200 OK');
      client.leave();
    }
  });
});

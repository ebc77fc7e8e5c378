// Requests that no client library sends, byte for byte on a socket of their own: paths with dot segments, hosts that
// are no hosts, and bodies that are larger than they say or that nobody asked for.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  discardedBodyBytesMax,
  loginBodyBytesMax,
  messageBytesMax,
  requestBodyBytesMax,
  tenantBodyBytesMax,
} from '../../src/limits.ts';
import { startQuorate, type QuorateProcess } from '../support/quorate-process.ts';

let server: QuorateProcess;

beforeAll(async () => {
  server = await startQuorate();
});

afterAll(async () => {
  await server.dispose();
});

type Answer = { readonly status: number; readonly body: string };

/** Whether the server still takes a body that nobody reads shows in whether the socket takes it. */
class RawRequest {
  readonly #socket: Socket;
  readonly answer: Promise<Answer>;
  sent = 0;

  constructor(head: readonly string[], body = '') {
    const { port, hostname } = new URL(server.ready.url);
    this.#socket = connect(Number(port), hostname);
    this.answer = this.#read();
    this.#write(Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`, 'latin1'));
  }

  /** Ends early if the server takes nothing more. */
  async send(bytes: number, chunked = false): Promise<void> {
    const part = Buffer.alloc(65_536, 'x');
    for (let left = bytes; left > 0 && this.#socket.writable; left -= part.byteLength) {
      const piece = part.subarray(0, Math.min(left, part.byteLength));
      if (chunked) this.#write(Buffer.from(`${piece.byteLength.toString(16)}\r\n`));
      const isTaken = this.#write(piece);
      if (chunked) this.#write(Buffer.from('\r\n'));
      this.sent += piece.byteLength;
      if (!isTaken) await Promise.race([once(this.#socket, 'drain'), once(this.#socket, 'close'), sleep(1_000)]);
      if (this.#socket.writableLength > 1_048_576) return;
    }
  }

  /** The last chunk. */
  finish(): void {
    this.#write(Buffer.from('0\r\n\r\n'));
  }

  end(): void {
    this.#socket.destroy();
  }

  #write(bytes: Buffer): boolean {
    return this.#socket.writable && this.#socket.write(bytes);
  }

  #read(): Promise<Answer> {
    return new Promise((resolve) => {
      let text = '';
      const settle = (): void => {
        const [head = '', body = ''] = text.split(/\r\n\r\n(.*)/s);
        resolve({ status: Number(head.split(' ')[1] ?? 0), body });
      };
      this.#socket.setEncoding('utf8').on('data', (part) => {
        text += String(part);
        const [head = '', body] = text.split(/\r\n\r\n(.*)/s);
        const declared = /content-length: (\d+)/i.exec(head)?.[1];
        const isWhole =
          declared === undefined ? text.endsWith('\r\n0\r\n\r\n') : Buffer.byteLength(body ?? '') >= Number(declared);
        if (body !== undefined && isWhole) settle();
      });
      this.#socket.on('error', settle).on('close', settle);
    });
  }
}

async function ask(method: string, target: string, headers: readonly string[] = [], body = ''): Promise<Answer> {
  const { key } = server.ready.tenant;
  const hasHost = headers.some((header) => header.startsWith('Host:'));
  const hasCredential = headers.some((header) => /^(Quorate-Key|Authorization):/.test(header));
  const request = new RawRequest(
    [
      `${method} ${target} HTTP/1.1`,
      ...(hasHost ? [] : ['Host: quorate.test']),
      ...(hasCredential ? [] : [`Quorate-Key: ${key}`]),
      ...(body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]),
      'Connection: close',
      ...headers,
    ],
    body,
  );
  const answer = await request.answer;
  request.end();
  return answer;
}

async function answerTo(head: readonly string[], bytes: number, chunked: boolean): Promise<Answer> {
  const size = chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${bytes}`;
  const request = new RawRequest([...head, 'Host: h', size]);
  await request.send(bytes, chunked);
  if (chunked) request.finish();
  const answer = await request.answer;
  request.end();
  return answer;
}

async function keysWith(prefix: string): Promise<string[]> {
  const response = await fetch(`${server.ready.url}/v1/kv?prefix=${encodeURIComponent(prefix)}`, {
    headers: { 'Quorate-Key': server.ready.tenant.key },
  });
  const list: { kvs: { key: string }[] } = JSON.parse(await response.text());
  return list.kvs.map(({ key }) => key);
}

describe('what a path says', () => {
  it('GATEWAY-20: a key is the bytes that were sent, dot segments and backslashes included', async () => {
    const keys = {
      '/v1/kv/d/a/../b': 'd/a/../b',
      '/v1/kv/d/a/%2E%2e/c': 'd/a/../c',
      '/v1/kv/d/a/.%2e/./d': 'd/a/.././d',
      '/v1/kv/d/a\\..\\e': 'd/a\\..\\e',
      '/v1/kv/d/..': 'd/..',
      '/v1/kv/d//f/': 'd//f/',
      "/v1/kv/d/it's": "d/it's",
      '/v1/kv/d/q%3Fr%23s': 'd/q?r#s',
    };
    for (const [target, key] of Object.entries(keys)) {
      expect([target, (await ask('PUT', target, [], 'x')).status]).toEqual([target, 200]);
      const read = await ask('GET', target);
      expect([target, read.status, read.body.includes('x')]).toEqual([target, 200, true]);
      expect(await keysWith('d/')).toContain(key);
    }
    // A client resolves dot segments itself before it sends.
    const { key } = server.ready.tenant;
    const init = { method: 'PUT', headers: { 'Quorate-Key': key }, body: 'y' };
    expect((await fetch(`${server.ready.url}/v1/kv/d%2Fa%2F..%2Fb`, init)).status).toBe(200);
    expect((await ask('GET', '/v1/kv/d/a/../b')).body).toContain('y');
    expect(await keysWith('d/')).toHaveLength(Object.keys(keys).length);
    expect(await keysWith('')).toHaveLength(Object.keys(keys).length);
  });

  it('GATEWAY-21: a dot segment where no key stands is refused by its name, before anything is asked', async () => {
    for (const target of [
      '/v3/../internal/raft',
      '/v3/kv/%2e%2E/kv/put',
      '/v1/tenants/../kv/a',
      '/v3\\..\\internal\\raft',
      '/v1/./status',
      '/v1/watch/..',
    ]) {
      const answer = await ask('POST', target, [], '{}');
      expect([target, answer.status, answer.body]).toEqual([target, 400, expect.stringContaining('segment')]);
    }
  });

  it('TENANT-14: neither a path nor a host names the way on which replicas speak', async () => {
    const targets = [
      '/internal/raft',
      '/v3/../internal/raft',
      '/v3/%2e%2e/internal/raft',
      '/v1/kv/../../internal/raft',
      '/v1/kv/..\\..\\internal\\raft',
      'http://replica.internal/internal/raft',
      '/v1/kv/x?/../../internal/raft',
    ];
    for (const target of targets) {
      for (const host of [
        'replica.internal',
        'replica.internal/internal/raft?',
        'x/../..',
        '[',
        'a b',
        '',
        'replica.internal/call?',
      ]) {
        const answer = await ask('POST', target, [`Host: ${host}`], '\u0001\u0000');
        expect([target, host, [400, 404, 405].includes(answer.status), answer.body]).toEqual([
          target,
          host,
          true,
          answer.body,
        ]);
      }
    }
    expect((await ask('GET', '/v1/status')).status).toBe(200);
  });
});

describe('what a body may be', () => {
  const huge = 4 * discardedBodyBytesMax;

  it('GATEWAY-22: no byte of a body is taken into memory before the caller is known', async () => {
    for (const [path, headers] of [
      ['/v1/kv/a', ['Quorate-Key: qrt_no_key']],
      ['/v1/kv/a', ['Quorate-Key: qrt_no_key', 'Upgrade: h2c', 'Connection: upgrade']],
      ['/v3/kv/put', ['Authorization: x', 'Upgrade: websocket', 'Connection: upgrade']],
      ['/v1/tenants', ['Authorization: Bearer x']],
      ['/nowhere', ['Authorization: x']],
    ] as const) {
      const request = new RawRequest([`POST ${path} HTTP/1.1`, 'Host: h', ...headers, `Content-Length: ${huge}`]);
      const { status } = await request.answer;
      request.end();
      expect([path, [401, 404].includes(status)]).toEqual([path, true]);
    }
  });

  it('GATEWAY-23: none is larger than its bound, whatever its headers say', async () => {
    const { key } = server.ready.tenant;
    const bounds: readonly [string, string, number, number][] = [
      ['/v1/kv/a', `Quorate-Key: ${key}`, requestBodyBytesMax, 413],
      ['/v3/kv/put', `Quorate-Key: ${key}`, requestBodyBytesMax, 429],
      ['/v1/tenants', `Authorization: Bearer ${server.ready.operatorToken}`, tenantBodyBytesMax, 413],
      ['/v3/auth/authenticate', 'Accept: */*', loginBodyBytesMax, 429],
    ];
    for (const [path, credential, bytesMax, expected] of bounds) {
      const method = path.startsWith('/v1/kv') ? 'PUT' : 'POST';
      for (const upgrade of ['Upgrade: h2c', 'Upgrade: websocket', 'X: y']) {
        for (const chunked of [false, true]) {
          const head = [`${method} ${path} HTTP/1.1`, credential, upgrade];
          const told = [path, upgrade, chunked];
          const over = await answerTo(head, bytesMax + 1, chunked);
          expect([...told, over.status]).toEqual([...told, expected]);
          expect(over.body).toContain(String(path === '/v3/kv/put' ? messageBytesMax : bytesMax));
          // The body is read, and then there is no such call.
          const within = await answerTo(head, bytesMax, chunked);
          expect([...told, within.body.includes(`${bytesMax + 1}`)]).toEqual([...told, false]);
        }
      }
    }
  });

  it('GATEWAY-24: an upgrade to something else than a WebSocket is a plain request', async () => {
    expect((await ask('PUT', '/v1/kv/upgraded', ['Upgrade: h2c'], 'x')).status).toBe(200);
    expect(await keysWith('upgraded')).toEqual(['upgraded']);
    expect((await ask('GET', '/v1/kv/upgraded', ['Upgrade: nothing'], 'a body that means nothing')).status).toBe(200);
  });
});

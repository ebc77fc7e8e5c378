// The front before a scripted runtime: what it hands on, and what becomes of clients that are slow, silent or gone. Its
// bounds are short here; each is tested by what ends beyond it, and by what does not end within it.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import * as limits from '../../src/limits.ts';
import { frontBounds, type FrontBounds } from '../../src/front/bounds.ts';
import { Front } from '../../src/front/front.ts';
import { RawClient } from './raw-client.ts';
import { ScriptedRuntime } from './scripted-runtime.ts';

const closers: (() => void | Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

type Stage = { readonly front: Front; readonly runtime: ScriptedRuntime; readonly client: () => RawClient };

async function stage(bounds: Partial<FrontBounds> = {}): Promise<Stage> {
  const runtime = await ScriptedRuntime.start();
  closers.push(() => runtime.close());
  const front = await Front.listen(
    { host: '127.0.0.1', port: 0 },
    { ...frontBounds, lookMs: 20, endMs: 100, ...bounds },
  );
  closers.push(() => front.close());
  front.open({ host: '127.0.0.1', port: runtime.port });
  const client = (): RawClient => {
    const one = new RawClient(front.port);
    closers.push(() => one.leave());
    return one;
  };
  return { front, runtime, client };
}

const get = 'GET /v1/kv/a HTTP/1.1\r\nHost: store\r\n\r\n';
const lock = 'POST /v1/locks/a HTTP/1.1\r\nHost: store\r\nContent-Length: 2\r\n\r\n{}';
const put = (bytes: number): string => `PUT /v1/kv/a HTTP/1.1\r\nHost: store\r\nContent-Length: ${bytes}\r\n\r\n`;
const goOn = 'HTTP/1.1 100 Continue\r\n\r\n';
const handshake = [
  'GET /v1/watch?key=a HTTP/1.1',
  'Host: store',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==',
  '\r\n',
].join('\r\n');
const accepted = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX: y\r\n\r\n';

/** Without the id that the front has given to a request or its answer (FRONT-43). */
function unnamed(text: string): string {
  return text.replace(/^x-request-id: [\w-]+\r\n/im, '');
}

describe('what is handed on', () => {
  it('FRONT-4: headers go on in their order with their duplicates; those of the connection are its own', async () => {
    const { runtime, client } = await stage();
    const one = client();
    one.send(
      [
        'PUT /v1/kv/a?b=%2F..%2f HTTP/1.1',
        'hOsT: store:1',
        'X: 1',
        'Connection: keep-alive, X',
        'Keep-Alive: timeout=5',
        'Proxy-Connection: x',
        'TE: trailers',
        'Trailer: T',
        'Upgrade: h2c',
        'x: 2',
        'Quorate-Key:  a b\t',
        'Transfer-Encoding: chunked',
        '',
        '3\r\nabc\r\n1;x=y\r\nd\r\n0\r\nT: t\r\n\r\n',
      ].join('\r\n'),
    );
    const behind = await runtime.connection(0);
    await behind.request();
    behind.say(goOn);
    const text = await behind.until((came) => came.endsWith('0\r\n\r\n'));
    expect(unnamed(text)).toBe(
      [
        'PUT /v1/kv/a?b=%2F..%2f HTTP/1.1',
        'hOsT: store:1',
        'X: 1',
        'x: 2',
        'Quorate-Key: a b',
        'Transfer-Encoding: chunked',
        'Expect: 100-continue',
        '',
        '3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n',
      ].join('\r\n'),
    );
    behind.say('HTTP/1.1 200 Fine\r\nB: 1\r\na: 2\r\nB: 3\r\nConnection: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    behind.say('2\r\nxy\r\n3\r\nz12\r\n0\r\nT: t\r\n\r\n');
    const answer = await one.until((came) => came.endsWith('0\r\n\r\n'));
    expect(unnamed(answer)).toMatch(
      /^HTTP\/1\.1 200 Fine\r\nB: 1\r\na: 2\r\nB: 3\r\nDate: [^\r]*\r\nConnection: keep-alive\r\n/,
    );
    expect(answer.split('\r\n\r\n')[1]).toMatch(/^5\r\nxyz12\r\n0$|^2\r\nxy\r\n3\r\nz12\r\n0$/);
  });

  it('FRONT-4: an answer reaches its client in the pieces in which it comes, its head before the first one', async () => {
    const { runtime, client } = await stage();
    const one = client();
    one.send(get);
    const behind = await runtime.connection(0);
    await behind.request();
    behind.say('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    await one.until((text) => text.includes('\r\n\r\n'));
    behind.say('1\r\na\r\n');
    await one.until((text) => text.includes('a\r\n'));
    behind.say('0\r\n\r\n');
    await one.until((text) => text.endsWith('0\r\n\r\n'));
  });

  it('FRONT-5: a connection to the runtime serves the next call, but not one that was idle for long', async () => {
    const { runtime, client } = await stage({ upstreamIdleMs: 150 });
    const one = client();
    for (const place of [1, 2]) {
      one.send(get);
      const behind = await runtime.connection(0);
      await behind.request(place);
      behind.answer(`${place}`);
      await one.until((text) => text.endsWith(`${place}`));
    }
    expect(runtime.connections).toHaveLength(1);
    await sleep(200);
    one.send(get);
    const second = await runtime.connection(1);
    await second.request();
    second.answer('3');
    await one.until((text) => text.endsWith('3'));
  });

  it('FRONT-5: a connection whose call was not sent whole is not used again', async () => {
    const { runtime, client } = await stage();
    const one = client();
    one.send('PUT /v1/kv/a HTTP/1.1\r\nHost: store\r\nContent-Length: 5\r\n\r\nab');
    const first = await runtime.connection(0);
    await first.until((text) => text.endsWith('ab'));
    first.answer('no');
    await one.until((text) => text.endsWith('no'));
    expect(await first.ended).toBe('reset');
    one.send(`cde${get}`);
    const second = await runtime.connection(1);
    await second.request();
    expect(second.text).toMatch(/^GET /);
    second.answer('yes');
    expect(await one.until((text) => text.endsWith('yes'))).toContain('yes');
  });

  it.each([
    ['whose answer is the last one', get, 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno'],
    ['whose body was refused', lock, 'HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno'],
    ['of a stream', lock, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n'],
    ['whose body means nothing', lock.replace('POST', 'GET'), 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno'],
  ])('FRONT-5: a connection %s is not used again: the runtime ends it', async (_, request, answer) => {
    const { runtime, client } = await stage();
    const one = client();
    one.send(request);
    const first = await runtime.connection(0);
    await first.until((text) => text.endsWith(request.slice(-4)));
    first.say(answer);
    await one.until((text) => /no(?:\r\n0\r\n\r\n)?$/.test(text));
    await first.ended;
    one.send(get);
    const second = await runtime.connection(1);
    await second.request();
    second.answer('yes');
    await one.until((text) => text.endsWith('yes'));
  });

  it('FRONT-5: a connection to the runtime is not used again after bytes that belong to no call', async () => {
    const { runtime, client } = await stage();
    const one = client();
    one.send(get);
    const first = await runtime.connection(0);
    await first.request();
    first.say('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb');
    await one.until((text) => text.endsWith('a'));
    one.send(get);
    const second = await runtime.connection(1);
    await second.request();
    second.answer('c');
    expect(await one.until((text) => text.endsWith('c'))).not.toContain('\r\n\r\nb');
  });

  it('FRONT-18: a body within the bound goes on with its head', async () => {
    const { runtime, client } = await stage();
    const bytes = limits.frontUnaskedBodyBytesMax;
    client().send(put(bytes) + 'x'.repeat(bytes));
    const behind = await runtime.connection(0);
    await behind.until((text) => unnamed(text) === put(bytes) + 'x'.repeat(bytes));
  });

  it.each([
    ['longer', put(limits.frontUnaskedBodyBytesMax + 1), 'x'.repeat(limits.frontUnaskedBodyBytesMax + 1)],
    [
      'of unknown length',
      lock.replace(/Content-Length.*$/s, 'Transfer-Encoding: chunked\r\n\r\n'),
      '1\r\na\r\n0\r\n\r\n',
    ],
  ])('FRONT-18: a body that is %s goes on once it is wanted', async (_, head, body) => {
    const { runtime, client } = await stage();
    const one = client();
    one.send(head + body);
    const behind = await runtime.connection(0);
    await behind.request();
    await sleep(30);
    const asked = head.replace('\r\n\r\n', '\r\nExpect: 100-continue\r\n\r\n');
    expect(unnamed(behind.text)).toBe(asked);
    behind.say(goOn);
    await behind.until((text) => unnamed(text) === asked + body);
    behind.answer('done');
    expect(await one.until((text) => text.endsWith('done'))).not.toContain(' 100 ');
  });

  it('FRONT-18: of a body that is answered before it is wanted nothing is sent, and the next call is served', async () => {
    const { runtime, client } = await stage();
    const one = client();
    one.send('PUT /v1/kv/a HTTP/1.1\r\nHost: store\r\nContent-Length: 1000000\r\n\r\nab');
    const behind = await runtime.connection(0);
    await behind.request();
    behind.answer('no');
    await one.until((text) => text.endsWith('no'));
    one.send('x'.repeat(999_998) + get);
    const next = await runtime.connection(1);
    await next.request();
    next.answer('yes');
    await one.until((text) => text.endsWith('yes'));
    expect(behind.text).toMatch(/\r\n\r\n$/);
    expect(await behind.ended).toBe('reset');
  });

  it.each([
    ['is told so where it asked', 'HTTP/1.1', 'Expect: 100-Continue\r\n', true],
    ['is not told where it did not ask', 'HTTP/1.1', '', false],
    ['is not told where it speaks HTTP/1.0', 'HTTP/1.0', 'Expect: 100-continue\r\n', false],
  ])('FRONT-18: a client whose body is wanted %s', async (_, version, expectation, isTold) => {
    const { runtime, client } = await stage();
    const one = client();
    one.send(`PUT /v1/kv/a ${version}\r\nHost: store\r\n${expectation}Content-Length: 100000\r\n\r\n`);
    const behind = await runtime.connection(0);
    expect((await behind.request()).match(/Expect: 100-continue/g)).toHaveLength(1);
    behind.say(goOn);
    if (isTold) await one.until((text) => text === goOn);
    one.send('x'.repeat(100_000));
    await behind.until((text) => text.endsWith('x'));
    behind.answer('done');
    expect((await one.until((text) => text.endsWith('done'))).startsWith(goOn)).toBe(isTold);
  });

  it('FRONT-18: a client whose body is not wanted yet is not taken for silent, and one that has gone is seen', async () => {
    const { runtime, client } = await stage({ bodySilentMs: 50 });
    const one = client();
    one.send('PUT /v1/kv/a HTTP/1.1\r\nHost: store\r\nContent-Length: 100000\r\n\r\nab');
    const behind = await runtime.connection(0);
    await behind.request();
    await sleep(200);
    behind.say(goOn);
    await behind.until((text) => text.endsWith('ab'));
    await one.ended;
    const two = client();
    two.send('PUT /v1/kv/a HTTP/1.1\r\nHost: store\r\nContent-Length: 100000\r\n\r\nab');
    const second = await runtime.connection(1);
    await second.request();
    two.leave();
    expect(await second.ended).toBe('reset');
  });

  it('FRONT-6: requests of one connection are answered in their order, one at a time; beyond the bound no more is read', async () => {
    const { runtime, client } = await stage({ pipelinedMax: 4 });
    const one = client();
    one.send(lock.repeat(40));
    const behind = await runtime.connection(0);
    for (let place = 1; place <= 40; place++) {
      await behind.request(place);
      expect(behind.text.match(/POST/g)).toHaveLength(place);
      behind.answer(`(${place})`);
    }
    const text = await one.until((came) => came.endsWith('(40)'));
    expect([...text.matchAll(/\((\d+)\)/g)].map(([, place]) => Number(place))).toEqual(
      Array.from({ length: 40 }, (_, place) => place + 1),
    );
    expect(runtime.connections).toHaveLength(1);
  });

  it.each([
    ['a handshake', handshake],
    ['CONNECT', 'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ])('FRONT-6: %s behind a call under way ends the connection without a word', async (_, behind) => {
    const { runtime, client } = await stage();
    const one = client();
    one.send(lock);
    const call = await runtime.connection(0);
    await call.request();
    one.send(behind);
    expect(await call.ended).toBe('reset');
    await one.ended;
    expect([one.text, runtime.connections.length]).toEqual(['', 1]);
  });

  it.each([
    ['no request', 'nothing\r\n\r\n', 400],
    ['no request, nor what comes later', 'nothing\r\n\r\nnothing\r\n\r\n', 400],
    ['of another version', `GET / HTTP/2.0\r\n\r\n${get}`, 505],
    [
      'with a body that cannot be read',
      `${lock.replace(/Content-Length.*$/s, 'Transfer-Encoding: chunked')}\r\n\r\nz`,
      400,
    ],
  ])('FRONT-6: what is %s is refused behind the answer to the calls before it', async (_, behind, status) => {
    const { runtime, client } = await stage();
    const one = client();
    one.send(lock + get + behind);
    const call = await runtime.connection(0);
    await call.request();
    await sleep(20);
    expect(one.text).toBe('');
    one.send(behind);
    call.answer('(1)');
    await call.request(2);
    call.answer('(2)');
    expect(await one.ended).toBe('end');
    expect([...one.text.matchAll(/HTTP\/1\.1 (\d+)|\(\d\)/g)].map(([whole, code]) => code ?? whole)).toEqual([
      '200',
      '(1)',
      '200',
      '(2)',
      `${status}`,
    ]);
    await sleep(20);
    expect(call.text.match(/HTTP\/1.1/g)).toHaveLength(2);
  });

  it.each([true, false])(
    'FRONT-8: a client that goes behind what is refused ends the call before it (half %s)',
    async (half) => {
      const { runtime, client } = await stage();
      const one = client();
      one.send(`${lock}nothing\r\n\r\n`);
      const call = await runtime.connection(0);
      await call.request();
      await sleep(20);
      if (half) one.socket.end();
      else one.leave();
      expect(await call.ended).toBe('reset');
    },
  );

  it.each([
    ['Connection: close', get.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n')],
    ['HTTP/1.0', get.replace('HTTP/1.1', 'HTTP/1.0')],
    ['an expectation that was not met', get.replace('\r\n\r\n', '\r\nExpect: 100-continue\r\n\r\n')],
  ])(
    'FRONT-6: a call is answered, and nothing behind it is served where its answer is the last: %s',
    async (_, first) => {
      const { runtime, client } = await stage();
      const one = client();
      one.send(first + get);
      const call = await runtime.connection(0);
      await call.request();
      one.send(get);
      await sleep(20);
      call.answer('(1)');
      expect(await one.ended).toBe('end');
      expect(one.text).toMatch(/^HTTP\/1\.1 200 .*Connection: close.*\(1\)$/s);
      await sleep(20);
      expect([runtime.connections.length, call.text.match(/HTTP\/1/g)]).toEqual([1, ['HTTP/1']]);
    },
  );

  it('FRONT-6: all that came before the client closed its half is answered, and then the connection ends', async () => {
    const { runtime, client } = await stage();
    const one = client();
    one.send(get.repeat(3));
    one.socket.end();
    const behind = await runtime.connection(0);
    for (let place = 1; place <= 3; place++) {
      await behind.request(place);
      behind.answer(`(${place})`);
    }
    await one.ended;
    expect(one.text).toMatch(/\(1\).*\(2\).*Connection: close.*\(3\)$/s);
  });

  it('FRONT-7: where the runtime is gone a call is answered 502, and an answer that had begun is cut', async () => {
    const { runtime, client } = await stage();
    const one = client();
    one.send(get);
    const first = await runtime.connection(0);
    await first.request();
    first.socket.destroy();
    expect(await one.until((text) => text.includes('\n\n'))).toMatch(/^HTTP\/1\.1 502 .*may have been done\n$/s);
    const two = client();
    two.send(get);
    const second = await runtime.connection(1);
    await second.request();
    second.say('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc');
    await two.until((text) => text.endsWith('abc'));
    second.socket.destroy();
    await two.ended;
    expect(two.text).toMatch(/abc$/);
  });
});

describe('FRONT-8: a client that has gone', () => {
  it.each([
    ['CONNECT', 'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['a handshake', handshake],
    ['a handshake with a body', handshake.replace('Upgrade: websocket', 'Upgrade: websocket\r\nContent-Length: 5')],
    ['a call behind which comes a handshake', get + handshake],
    ['no request', 'nothing\r\n\r\n'],
    ['half a head', 'GET / HT'],
    ['half a body', 'PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx'],
  ])('by a reset after %s, at whatever stage, ends its connection and nothing else', async (_, request) => {
    const { runtime, client } = await stage();
    const uncaught: unknown[] = [];
    const listener = (error: unknown): void => void uncaught.push(error);
    process.on('uncaughtException', listener);
    closers.push(() => void process.off('uncaughtException', listener));
    for (const waitMs of [0, 1, 5, 40]) {
      const one = client();
      one.send(request);
      await sleep(waitMs);
      one.socket.resetAndDestroy();
    }
    await sleep(40);
    expect(uncaught).toEqual([]);
    const last = client();
    last.send(get);
    const behind = await runtime.connection(runtime.connections.length);
    await behind.request();
    behind.answer('served');
    await last.until((text) => text.endsWith('served'));
  });

  it.each([
    ['that waits on purpose and ends its connection', lock, false],
    ['that waits on purpose and closes its half', lock, true],
    ['of a stream that closes its half', get.replace('/v1/kv/a', '/v1/watch?key=a'), true],
  ])('%s: the call ends by a reset', async (_, request, half) => {
    const { runtime, client } = await stage();
    const one = client();
    one.send(request);
    const behind = await runtime.connection(0);
    await behind.request();
    if (half) one.socket.end();
    else one.leave();
    expect(await behind.ended).toBe('reset');
  });

  it('inside its body: the call ends by a reset', async () => {
    const { runtime, client } = await stage();
    const one = client();
    one.send('PUT /v1/kv/a HTTP/1.1\r\nHost: store\r\nContent-Length: 5\r\n\r\nab');
    const behind = await runtime.connection(0);
    await behind.until((text) => text.endsWith('ab'));
    one.socket.end();
    expect(await behind.ended).toBe('reset');
  });

  it('that closes its half behind a call that is answered at once has its answer, and then the connection ends', async () => {
    const { runtime, client } = await stage();
    const one = client();
    one.send(get);
    one.socket.end();
    const behind = await runtime.connection(0);
    await behind.request();
    behind.answer('here');
    await one.ended;
    expect(one.text).toMatch(/Connection: close\r\n.*here$/s);
  });
});

describe('a client that owes something for too long', () => {
  it('FRONT-9: has its connection ended inside a head, and between two requests', async () => {
    const { runtime, client } = await stage({ headReadMs: 150, idleMs: 150 });
    const silent = client();
    const slow = client();
    slow.send('GET /v1/kv/a HTTP/1.1\r\nHost');
    await silent.ended;
    await slow.ended;
    expect(slow.text).toMatch(/^HTTP\/1\.1 408 /);
    const idle = client();
    idle.send(get);
    const behind = await runtime.connection(0);
    await behind.request();
    behind.answer('here');
    await idle.ended;
    expect(idle.text).toMatch(/here$/);
  });

  it('FRONT-9: has its connection ended inside a body of which nothing comes, and not while something comes', async () => {
    const { runtime, client } = await stage({ bodySilentMs: 200 });
    const one = client();
    one.send('POST /v3/watch HTTP/1.1\r\nHost: store\r\nTransfer-Encoding: chunked\r\n\r\n');
    const behind = await runtime.connection(0);
    await behind.request();
    behind.say(`${goOn}HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n`);
    // What is said to it is no sign of its life.
    const noise = setInterval(() => behind.say('1\r\nx\r\n'), 20);
    closers.push(() => clearInterval(noise));
    for (let place = 0; place < 8; place++) {
      await sleep(60);
      one.send('1\r\na\r\n');
    }
    await behind.until((text) => text.split('1\r\na\r\n').length === 9);
    expect(await behind.ended).toBe('reset');
    clearInterval(noise);
    await one.ended;
  });

  it('FRONT-9: has its connection ended where it does not take its answer, and the runtime is not read meanwhile', async () => {
    const { runtime, client } = await stage({ answerReadMs: 300 });
    const one = client();
    one.socket.pause();
    one.send(get);
    const behind = await runtime.connection(0);
    await behind.request();
    const bytes = 64 * 1_048_576;
    behind.say(`HTTP/1.1 200 OK\r\nContent-Length: ${bytes}\r\n\r\n`);
    const part = Buffer.alloc(65_536);
    let sent = 0;
    const push = (): void => {
      while (sent < bytes && behind.socket.write(part)) sent += part.byteLength;
    };
    behind.socket.on('drain', push);
    push();
    expect(await behind.ended).toBe('reset');
    // What the systems' own buffers hold, and a piece in this process.
    expect(sent).toBeLessThan(bytes / 2);
  });

  it('FRONT-9: that reads, however slowly, goes on', async () => {
    const { runtime, client } = await stage({ answerReadMs: 400 });
    const one = client();
    one.send(get);
    const behind = await runtime.connection(0);
    await behind.request();
    const bytes = 16 * 1_048_576;
    behind.say(`HTTP/1.1 200 OK\r\nContent-Length: ${bytes}\r\n\r\n`);
    behind.socket.write(Buffer.alloc(bytes, 'x'));
    one.socket.on('data', () => {
      one.socket.pause();
      setTimeout(() => one.socket.resume(), 5);
    });
    await one.until((text) => text.length > bytes);
    expect(await Promise.race([one.ended, sleep(50, 'lives')])).toBe('lives');
  });

  it('FRONT-9: an answer in large chunks, of which each read has a part, arrives whole', async () => {
    const { runtime, client } = await stage();
    const one = client();
    one.send(get);
    const behind = await runtime.connection(0);
    await behind.request();
    behind.say('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    behind.say(`100000\r\n${'x'.repeat(1_048_576)}\r\n`.repeat(8));
    behind.say('0\r\n\r\n');
    await one.until((text) => text.endsWith('0\r\n\r\n'));
  });

  it('FRONT-9: that sends on behind its answer is read for a while, so that it has the answer, and then ended', async () => {
    const { runtime, client } = await stage({ discardMs: 200 });
    const one = client();
    one.send('PUT /v1/kv/a HTTP/1.1\r\nHost: store\r\nContent-Length: 99999999\r\n\r\nab');
    const behind = await runtime.connection(0);
    await behind.request();
    behind.say(goOn);
    await behind.until((text) => text.endsWith('ab'));
    behind.answer('no');
    const more = setInterval(() => one.send('x'.repeat(1_000)), 10);
    closers.push(() => clearInterval(more));
    await one.until((text) => text.endsWith('no'));
    await one.ended;
    clearInterval(more);
    expect(one.text).toMatch(/no$/);
  });

  it.each([
    ['is no request', 'PUT /v1/kv/\u00e9 HTTP/1.1\r\nHost: store\r\nContent-Length: 99999999\r\n\r\n', 400],
    ['has a version that is not served', 'PUT / HTTP/2.0\r\nHost: store\r\nContent-Length: 99999999\r\n\r\n', 505],
    ['has chunks of HTTP/1.0', 'PUT / HTTP/1.0\r\nHost: store\r\nTransfer-Encoding: chunked\r\n\r\n', 400],
    [
      'is the last on its connection',
      'PUT / HTTP/1.1\r\nHost: store\r\nConnection: close\r\nContent-Length: 99999999\r\n\r\n',
      200,
    ],
  ])(
    'FRONT-9: whose request %s, and that sends on, has its answer, and is read for a while',
    async (_, request, status) => {
      const { runtime, client } = await stage({ discardMs: 300 });
      const one = client();
      one.send(request);
      if (status === 200) {
        const behind = await runtime.connection(0);
        await behind.request();
        behind.answer('yes');
      }
      const sinceMs = performance.now();
      const more = setInterval(() => one.send('x'.repeat(1_000)), 10);
      closers.push(() => clearInterval(more));
      await new Promise((resolve) => {
        one.socket.on('close', resolve);
        one.socket.on('error', resolve);
      });
      clearInterval(more);
      expect(one.text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
      expect(performance.now() - sinceMs).toBeGreaterThan(250);
    },
  );

  it('FRONT-9: whose head is larger than the bound is told so; one within it is served', async () => {
    const { runtime, client } = await stage({ headBytesMax: 1_000 });
    const over = client();
    over.send(get.replace('\r\n\r\n', `\r\nX: ${'x'.repeat(1_000)}\r\n\r\n`));
    await over.ended;
    expect(over.text).toMatch(/^HTTP\/1\.1 431 /);
    const within = client();
    within.send(get.replace('\r\n\r\n', `\r\nX: ${'x'.repeat(900)}\r\n\r\n`));
    const behind = await runtime.connection(0);
    await behind.request();
    behind.answer('here');
    await within.until((text) => text.endsWith('here'));
  });

  it('FRONT-10: of connections no more are taken than the bound', async () => {
    const { runtime, client } = await stage({ connectionsMax: 2, upstreamIdleMs: 0 });
    const [first, second] = [client(), client()];
    first.send(get);
    second.send(get);
    await (await runtime.connection(0)).request();
    await (await runtime.connection(1)).request();
    await client().ended;
    first.leave();
    second.leave();
    for (const behind of runtime.connections) behind.answer('late');
    await sleep(50);
    const third = client();
    third.send(get);
    const behind = await runtime.connection(2);
    await behind.request();
    behind.answer('here');
    await third.until((text) => text.endsWith('here'));
  });

  it('FRONT-10: all that is not read has one bound: those that have not read for the longest are ended', async () => {
    const { runtime, client } = await stage({ unsentBytesMax: 100_000 });
    const clients: RawClient[] = [];
    const bytes = 64 * 1_048_576;
    for (let place = 0; place < 4; place++) {
      const one = client();
      clients.push(one);
      one.socket.pause();
      one.send(get);
      const behind = await runtime.connection(place);
      await behind.request();
      behind.say(`HTTP/1.1 200 OK\r\nContent-Length: ${bytes}\r\n\r\n`);
      const part = Buffer.alloc(65_536);
      const push = (): void => {
        while (behind.socket.writable && behind.socket.write(part));
      };
      behind.socket.on('drain', push);
      push();
      // The next one comes later.
      await sleep(100);
    }
    const first = runtime.connections[0];
    expect(await first?.ended).toBe('reset');
    const alive = await Promise.all(runtime.connections.map(({ ended }) => Promise.race([ended, sleep(100, 'lives')])));
    expect(alive.at(-1)).toBe('lives');
  });
});

/** A text frame as a client sends it: masked by nothing. */
function clientFrame(text: string, opcode = 0x81): string {
  return String.fromCharCode(opcode, 0x80 | text.length, 0, 0, 0, 0) + text;
}

function serverFrame(text: string, opcode = 0x81): string {
  return String.fromCharCode(opcode, text.length) + text;
}

const closeText = '\u0003\u00e8';

async function open(bounds: Partial<FrontBounds> = {}) {
  const { front, runtime, client } = await stage(bounds);
  const one = client();
  one.send(handshake + clientFrame('early'));
  const behind = await runtime.connection(0);
  const request = await behind.request();
  behind.say(accepted + serverFrame('hello'));
  await one.until((text) => text.endsWith('hello'));
  await behind.until((text) => text.endsWith('early'));
  return { front, one, behind, request };
}

describe('a WebSocket', () => {
  it('FRONT-11: its handshake and its frames go on as they come, also those before it was accepted', async () => {
    const { one, behind, request } = await open();
    expect(request).toContain('Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    expect(request).toContain('Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n');
    expect(unnamed(one.text)).toMatch(
      /^HTTP\/1\.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX: y\r\n\r\n/,
    );
    one.send(clientFrame('one'));
    await behind.until((text) => text.endsWith(clientFrame('one')));
    behind.say(serverFrame('two'));
    await one.until((text) => text.endsWith(serverFrame('two')));
    expect(behind.text.endsWith(clientFrame('early') + clientFrame('one'))).toBe(true);
  });

  it.each(['Content-Length: 40', 'Transfer-Encoding: chunked'])(
    'FRONT-3: a handshake with a body (%s) is refused, and nothing of it reaches the runtime',
    async (framing) => {
      const { runtime, client } = await stage();
      const one = client();
      one.send(handshake.replace('Upgrade: websocket', `Upgrade: websocket\r\n${framing}`));
      await one.ended;
      expect(one.text).toMatch(/^HTTP\/1\.1 400 .*has no body/s);
      expect(runtime.connections).toHaveLength(0);
    },
  );

  it('FRONT-11: a handshake that is refused is answered as the runtime answers', async () => {
    const { runtime, client } = await stage();
    const one = client();
    one.send(handshake);
    const behind = await runtime.connection(0);
    await behind.request();
    behind.say('HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\nX: y\r\n\r\nnone');
    await one.ended;
    expect(unnamed(one.text)).toMatch(/^HTTP\/1\.1 401 Unauthorized\r\nContent-Length: 4\r\nX: y\r\n.*none$/s);
  });

  it.each(['whose handshake is refused', 'whose runtime has gone'])(
    'FRONT-13: one %s ends, though its client sends on: what came is read first',
    async (name) => {
      const { runtime, client } = await stage({ socketClosingMs: 200 });
      const one = client();
      one.send(handshake);
      const behind = await runtime.connection(0);
      await behind.request();
      const isRefused = name.includes('refused');
      behind.say(isRefused ? 'HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nlast' : `${accepted}last`);
      await one.until((text) => text.endsWith('last'));
      if (!isRefused) behind.socket.destroy();
      const sinceMs = performance.now();
      const more = setInterval(() => one.send('\u0082\u0000'.repeat(500)), 10);
      closers.push(() => clearInterval(more));
      await new Promise((resolve) => {
        one.socket.on('close', resolve);
        one.socket.on('error', resolve);
      });
      clearInterval(more);
      expect(performance.now() - sinceMs).toBeGreaterThan(150);
    },
  );

  it('FRONT-12: one whose client says nothing is asked whether it lives, and ended where it does not answer', async () => {
    const { one, behind } = await open({ socketPingMs: 100, socketSilentMs: 300 });
    const ping = '\u0089\u0000';
    await one.until((text) => text.endsWith(ping));
    one.send(clientFrame('', 0x8a));
    await behind.until((text) => text.endsWith(clientFrame('', 0x8a)));
    const before = one.text.length;
    await one.until((text) => text.length > before);
    await one.ended;
    await behind.ended;
  });

  it('FRONT-12: it is not asked inside a frame', async () => {
    const { one, behind } = await open({ socketPingMs: 60 });
    const before = one.text.length;
    behind.say(serverFrame('whole').slice(0, 4));
    await sleep(200);
    expect(one.text.slice(before)).toBe(serverFrame('whole').slice(0, 4));
    behind.say(serverFrame('whole').slice(4));
    await one.until((text) => text.endsWith('\u0089\u0000'));
    expect(one.text.slice(before, -2)).toBe(serverFrame('whole'));
  });

  it.each(['the server', 'the client'])(
    'FRONT-13: once both have closed the connection ends, where %s began, though the runtime goes on waiting',
    async (who) => {
      const { one, behind } = await open();
      const fromClient = (): void => one.send(clientFrame(closeText, 0x88));
      const fromServer = (): void => behind.say(serverFrame(closeText, 0x88));
      if (who === 'the server') fromServer();
      else fromClient();
      if (who === 'the server') await one.until((text) => text.endsWith(closeText));
      else await behind.until((text) => text.endsWith(closeText));
      if (who === 'the server') fromClient();
      else fromServer();
      expect(await one.ended).toBe('end');
      expect(one.text.endsWith(serverFrame(closeText, 0x88))).toBe(true);
      expect(behind.text.endsWith(clientFrame(closeText, 0x88))).toBe(true);
    },
  );

  it.each(['the server', 'the client'])('FRONT-13: a close of %s that is not answered ends it in time', async (who) => {
    const { one, behind } = await open({ socketClosingMs: 100 });
    if (who === 'the server') behind.say(serverFrame(closeText, 0x88));
    else one.send(clientFrame(closeText, 0x88));
    await one.ended;
    await behind.ended;
  });

  it('FRONT-11: more than the bound before it is accepted waits with its client, and all of it arrives', async () => {
    const { runtime, client } = await stage({ firstBytesMax: 1_000 });
    const one = client();
    one.send(handshake);
    const behind = await runtime.connection(0);
    await behind.request();
    const frames = clientFrame('x'.repeat(100)).repeat(100_000);
    const sent = new Promise<void>((resolve) => {
      one.socket.write(frames, 'latin1', () => resolve());
    });
    expect(await Promise.race([sent, sleep(200, 'waits')])).toBe('waits');
    behind.say(accepted);
    await sent;
    await behind.until(() => behind.bytes >= frames.length);
  });

  it('FRONT-8: of a client that has gone, or closed its half without a close frame, ends', async () => {
    for (const half of [true, false]) {
      const { one, behind } = await open();
      if (half) one.socket.end();
      else one.leave();
      await behind.ended;
    }
  });

  it('FRONT-9: one whose client does not read is ended', async () => {
    const { one, behind } = await open({ answerReadMs: 200 });
    one.socket.pause();
    const part = Buffer.from(serverFrame('x'.repeat(100)).repeat(640), 'latin1');
    const push = (): void => {
      while (behind.socket.writable && behind.socket.write(part));
    };
    behind.socket.on('drain', push);
    push();
    await behind.ended;
  });

  it('FRONT-14: at the end of the server it is told 1001, and has a moment to answer', async () => {
    const { front, one } = await open();
    const closed = front.close();
    await one.until((text) => text.endsWith('the server ends'));
    expect(one.text.endsWith('\u0088\u0011\u0003\u00e9the server ends')).toBe(true);
    one.send(clientFrame('\u0003\u00e9', 0x88));
    expect(await one.ended).toBe('end');
    one.leave();
    await closed;
  });
});

describe('start and end', () => {
  it('FRONT-14: the port is taken before there is a runtime, and calls are answered once there is one', async () => {
    const runtime = await ScriptedRuntime.start();
    closers.push(() => runtime.close());
    const front = await Front.listen({ host: '127.0.0.1', port: 0 });
    closers.push(() => front.close());
    await expect(Front.listen({ host: '127.0.0.1', port: front.port })).rejects.toThrow('EADDRINUSE');
    const one = new RawClient(front.port);
    one.send(get);
    await sleep(50);
    expect(one.text).toBe('');
    front.open({ host: '127.0.0.1', port: runtime.port });
    const behind = await runtime.connection(0);
    await behind.request();
    behind.answer('here');
    await one.until((text) => text.endsWith('here'));
    one.leave();
  });

  it('FRONT-14: at the end calls under way are answered, streams and idle connections end, and no new call is taken', async () => {
    const { front, runtime, client } = await stage({ endMs: 2_000 });
    const { port } = front;
    const [idle, stream, call] = [client(), client(), client()];
    idle.send(get);
    (await runtime.connection(0)).answer('idle');
    await idle.until((text) => text.endsWith('idle'));
    stream.send(get.replace('/v1/kv/a', '/v1/watch?key=a'));
    const behindStream = runtime.connections[0];
    await behindStream?.request(2);
    call.send(get);
    const behindCall = await runtime.connection(1);
    await behindCall.request();
    const closed = front.close();
    await idle.ended;
    await stream.ended;
    expect(await behindStream?.ended).toBe('reset');
    expect(await new RawClient(port).ended).toBe('reset');
    behindCall.answer('here');
    await call.ended;
    expect(call.text).toMatch(/Connection: close\r\n.*here$/s);
    await closed;
  });

  it('FRONT-14: what does not end by then is cut', async () => {
    const { front, runtime, client } = await stage();
    const one = client();
    one.send(get);
    const behind = await runtime.connection(0);
    await behind.request();
    await front.close();
    await one.ended;
    expect(await behind.ended).toBe('reset');
  });
});

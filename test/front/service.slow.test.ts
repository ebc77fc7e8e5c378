// A service elsewhere in the place of the runtime: what is said to it, and for how long it is waited for.

import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Front } from '../../src/front/front.ts';
import type { Service } from '../../src/front/upstream.ts';
import { frontUnaskedBodyBytesMax } from '../../src/limits.ts';
import { RawClient } from './raw-client.ts';
import { ScriptedRuntime } from './scripted-runtime.ts';

const closers: (() => void | Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

type Stage = { readonly front: Front; readonly client: RawClient; readonly faults: string[] };

async function before(port: number, tls: Service['tls'] = null): Promise<Stage> {
  const front = await Front.listen({ host: '127.0.0.1', port: 0 });
  closers.push(() => front.close());
  const faults: string[] = [];
  const failed = ({ message }: Error): void => {
    faults.push(message);
  };
  front.open({ host: '127.0.0.1', port, service: { authority: 'service.test', tls, failed } });
  const client = new RawClient(front.port);
  closers.push(() => client.leave());
  return { front, client, faults };
}

describe('a service elsewhere', () => {
  it('FRONT-45: is called by its name, and is not told where its client is', async () => {
    const runtime = await ScriptedRuntime.start();
    closers.push(() => runtime.close());
    const { client } = await before(runtime.port);
    client.send('GET /v1/kv/a HTTP/1.1\r\nHost: here:2379\r\nCF-Connecting-IP: 192.0.2.1\r\nX: 1\r\n\r\n');
    const connection = await runtime.connection(0);
    const head = await connection.request();
    expect(head).toMatch(/^GET \/v1\/kv\/a HTTP\/1\.1\r\nHost: service\.test\r\n/);
    expect(head).not.toMatch(/here|192\.0\.2\.1/);
    expect(head).toContain('X: 1\r\n');
  });

  it('FRONT-46: gets a body for which it does not ask, after a while', async () => {
    const runtime = await ScriptedRuntime.start();
    closers.push(() => runtime.close());
    const { client } = await before(runtime.port);
    const bytes = frontUnaskedBodyBytesMax + 1;
    client.send(`PUT /v1/kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: ${bytes}\r\n\r\n${'x'.repeat(bytes)}`);
    const connection = await runtime.connection(0);
    expect(await connection.request()).toContain('Expect: 100-continue');
    await connection.until(() => connection.bytes > bytes);
    connection.answer('done');
    expect(await client.until((text) => text.endsWith('done'))).toMatch(/^HTTP\/1\.1 200/);
  });

  it('FRONT-47: that makes no connection in time is not reached, and nothing was done', async () => {
    const silent: Server = createServer();
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    closers.push(() => void silent.close());
    // A server that listens on TCP has an address of this shape.
    const { port } = silent.address() as AddressInfo;
    const { client, faults } = await before(port, { ca: null });
    client.send('GET /v1/kv/a HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(await client.until((text) => text.includes('\r\n\r\n'))).toMatch(/^HTTP\/1\.1 502/);
    expect(faults).toEqual(['there was no connection within 3 s']);
  });
});

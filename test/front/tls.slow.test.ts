// TLS on the front's ports.

import { once } from 'node:events';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { frontBounds, type FrontBounds } from '../../src/front/bounds.ts';
import { Front } from '../../src/front/front.ts';
import { PortTls, type TlsFiles } from '../../src/front/port-tls.ts';
import { Authority, type Certificate } from '../support/certificates.ts';
import { GrpcClient } from '../support/grpc-client.ts';
import { RawClient } from './raw-client.ts';
import { ScriptedRuntime } from './scripted-runtime.ts';

let authority: Authority;
let own: Certificate;
const closers: (() => void | Promise<void>)[] = [];

beforeAll(() => {
  authority = new Authority();
  own = authority.sign('front');
});

afterAll(() => authority.dispose());

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

type Stage = { readonly front: Front; readonly runtime: ScriptedRuntime; readonly said: readonly string[] };

async function stage(files: Partial<TlsFiles> = {}, bounds: Partial<FrontBounds> = {}): Promise<Stage> {
  const runtime = await ScriptedRuntime.start();
  closers.push(() => runtime.close());
  const said: string[] = [];
  const tls = new PortTls({ ...own, clientCa: null, ...files }, (line) => said.push(line));
  closers.push(() => tls.close());
  const options = { host: '127.0.0.1', port: 0, tls };
  const front = await Front.listen(options, { ...frontBounds, lookMs: 20, endMs: 100, ...bounds });
  closers.push(() => front.close());
  front.open({ host: '127.0.0.1', port: runtime.port });
  return { front, runtime, said };
}

function trust(): string {
  return readFileSync(authority.ca, 'utf8');
}

async function secured(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, ca: trust(), ...options });
  closers.push(() => void socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

/** What comes until the connection ends, or how it failed. */
async function allOf(socket: TLSSocket): Promise<string> {
  let text = '';
  socket.on('data', (part) => {
    text += part.toString('latin1');
  });
  return new Promise((resolve) => {
    socket.on('error', ({ message }) => resolve(message));
    socket.on('close', () => resolve(text));
  });
}

function identity({ cert, key }: Certificate): ConnectionOptions {
  return { cert: readFileSync(cert), key: readFileSync(key) };
}

async function health(port: number, options: ConnectionOptions = {}): Promise<number | string> {
  const client = new GrpcClient(`https://127.0.0.1:${port}`, {}, { ca: trust(), ...options });
  closers.push(() => client.close());
  return client.call('/grpc.health.v1.Health/Check').then(
    ({ code }) => code,
    (error: unknown) => String(error),
  );
}

describe('a port with TLS', () => {
  it('FRONT-TLS-1: speaks HTTP/1.1, as ALPN says and without it', async () => {
    const { front, runtime } = await stage();
    for (const ALPNProtocols of [['http/1.1'], undefined]) {
      const socket = await secured(front.port, ALPNProtocols === undefined ? {} : { ALPNProtocols });
      socket.write('GET /v1/kv/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
      const connection = await runtime.connection(0);
      await connection.request(runtime.connections[0]?.text.split('\r\n\r\n').length ?? 1);
      connection.answer('through');
      expect(await allOf(socket)).toMatch(/^HTTP\/1\.1 200.*through$/s);
    }
  });

  it('FRONT-TLS-1: speaks gRPC, as ALPN says', async () => {
    const { front } = await stage();
    expect(await health(front.port)).toBe(0);
  });

  it('FRONT-TLS-2: tells whoever speaks plain text to it', async () => {
    const { front } = await stage();
    for (const said of ['GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n']) {
      const client = new RawClient(front.port);
      client.send(said);
      await client.until((text) => text.includes('https://'));
      expect(client.text).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n.*this port speaks TLS: use https:\/\/\n$/s);
      client.leave();
    }
    expect(await health(front.port)).toBe(0);
  });

  it('FRONT-TLS-2: and a port in plain text tells whoever speaks TLS to it', async () => {
    const front = await Front.listen({ host: '127.0.0.1', port: 0 });
    closers.push(() => front.close());
    const client = new RawClient(front.port);
    client.send('\u0016\u0003\u0001\u0002\u0000\u0001');
    await client.until((text) => text.includes('http://'));
    expect(client.text).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n.*this port speaks plain text: use http:\/\/\n$/s);
    client.leave();
  });

  it('FRONT-TLS-3: reads its certificate again once it has changed, and keeps the former one until both files fit', async () => {
    const [cert, key] = ['live.pem', 'live.key'].map((name) => join(authority.folder, name));
    if (cert === undefined || key === undefined) throw new Error('there are two');
    copyFileSync(own.cert, cert);
    copyFileSync(own.key, key);
    const { front, said } = await stage({ cert, key });
    const before = await secured(front.port);
    expect(before.getPeerCertificate().subject.CN).toBe('front');
    const renewed = authority.sign('renewed');
    copyFileSync(renewed.cert, cert);
    while (said.length === 0) await sleep(20);
    expect(said[0]).toMatch(/^the former certificate is still used: .*key values mismatch/);
    expect((await secured(front.port)).getPeerCertificate().subject.CN).toBe('front');
    copyFileSync(renewed.key, key);
    while (!said.includes('the certificate was read again')) await sleep(20);
    expect((await secured(front.port)).getPeerCertificate().subject.CN).toBe('renewed');
    expect(before.destroyed).toBe(false);
  });

  it('FRONT-TLS-4: that asks for certificates takes those that its authority signed, and nobody else', async () => {
    const { front } = await stage({ clientCa: authority.ca });
    expect(await health(front.port, identity(authority.sign('alice')))).toBe(0);
    expect(await health(front.port)).toMatch(/Error/);
    const other = new Authority();
    closers.push(() => other.dispose());
    expect(await health(front.port, identity(other.sign('mallory')))).toMatch(/Error/);
    expect(await health(front.port, identity(authority.sign('bob')))).toBe(0);
  });

  it('FRONT-TLS-5: ends a handshake that does not end', async () => {
    const { front } = await stage({}, { headReadMs: 100 });
    const client = new RawClient(front.port);
    client.send('\u0016\u0003\u0001\u0002\u0000\u0001');
    await client.ended;
    expect(await health(front.port)).toBe(0);
  });

  it.each([
    [{ cert: '/none' }, '--tls-cert "/none" cannot be read: ENOENT'],
    [{ key: '/dev/null' }, '--tls-key "/dev/null" is no PEM file'],
    [{ clientCa: '/none' }, '--tls-client-ca "/none" cannot be read: ENOENT'],
  ])('FRONT-TLS-6: files that cannot be used are refused: %j', (files, reason) => {
    expect(() => new PortTls({ ...own, clientCa: null, ...files }, () => undefined)).toThrow(reason);
  });

  it('FRONT-TLS-6: and so is a key of another certificate', () => {
    const other = authority.sign('other');
    expect(() => new PortTls({ cert: own.cert, key: other.key, clientCa: null }, () => undefined)).toThrow(
      /--tls-cert .* and --tls-key .* cannot be used/,
    );
  });
});

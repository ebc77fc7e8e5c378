// Clients of open streams that fall silent: each is waited for, for minutes.

import { connect } from 'node:net';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { startQuorate, type QuorateProcess } from '../support/quorate-process.ts';

let server: QuorateProcess;

beforeAll(async () => {
  server = await startQuorate();
});

afterAll(async () => {
  await server.dispose();
});

const base64 = (text: string): string => btoa(text);

// A raw client whose machine is gone: it answers no ping of the WebSocket protocol, and sends no more of its body.
describe('a client of an open stream that falls silent', () => {
  const handshake = [
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${base64('0123456789abcdef')}`,
  ];
  const chunk = JSON.stringify({ create_request: { key: base64('a') } });
  const chunked = ['Transfer-Encoding: chunked', '', `${chunk.length.toString(16)}\r\n${chunk}\r\n`].join('\r\n');
  const cases = [
    ['on a WebSocket', `GET /v1/watch?key=a HTTP/1.1\r\nHost: store\r\n${handshake.join('\r\n')}\r\n`, false],
    ['after the first message of a watch', `POST /v3/watch HTTP/1.1\r\nHost: store\r\n${chunked}`, false],
    ['with its half closed', 'GET /v1/watch?key=a HTTP/1.1\r\nHost: store\r\nAccept: text/event-stream\r\n', true],
  ] as const;
  it.concurrent.each(cases)(
    'SILENT-3: that is gone %s is disconnected within six minutes',
    async (_, sent, half) => {
      const { hostname, port } = new URL(server.ready.url);
      const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true });
      const key = `Quorate-Key: ${server.ready.tenant.key}`;
      const request = sent.replace('Host: store', `Host: store\r\n${key}`);
      socket.on('error', () => undefined);
      if (half) socket.end(`${request}\r\n`);
      else socket.write(sent.startsWith('POST') ? request : `${request}\r\n`);
      socket.resume();
      await new Promise<void>((resolve) => {
        socket.once('end', () => resolve());
      });
      socket.destroy();
    },
    400_000,
  );
});

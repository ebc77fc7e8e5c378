// What is read of a connection that takes nothing more.

import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { UpstreamSocket } from '../../src/front/upstream-socket.ts';

describe('FRONT-19: what the runtime said before it ended the connection is read', () => {
  it.each([1, 2])('where it takes nothing of %d writes', async (writes) => {
    const server = createServer((connection) => {
      connection.once('data', () => {
        connection.write('said');
        connection.resetAndDestroy();
        // In the same turn the other end has not read yet.
        for (let place = 0; place < writes; place++) socket.write('more');
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    // A server that listens on TCP has an address of this shape.
    const { port } = server.address() as AddressInfo;
    const socket = new UpstreamSocket().connect({ port, host: '127.0.0.1' });
    let text = '';
    socket.on('data', (part) => {
      text += part.toString('latin1');
    });
    socket.on('error', () => undefined);
    socket.write('first');
    await new Promise((resolve) => {
      socket.on('close', resolve);
    });
    expect(text).toBe('said');
    server.close();
  });
});

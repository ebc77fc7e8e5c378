// The client's end of a WebSocket to the runtime, on a socket that is the test's own.

import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { expect, it } from 'vitest';
import { SocketMessages } from '../../src/front/socket-messages.ts';

class ScriptedSocket extends EventEmitter {
  readonly written: Buffer[] = [];
  ended = false;

  write(bytes: Uint8Array): boolean {
    this.written.push(Buffer.from(bytes));
    return true;
  }

  resume(): this {
    return this;
  }

  destroySoon(): void {
    this.ended = true;
  }
}

function open(first: Buffer = Buffer.alloc(0)) {
  const socket = new ScriptedSocket();
  const came: string[] = [];
  let closed = 0;
  // The socket has all that is used of one.
  const messages = new SocketMessages(socket as unknown as Socket, first, {
    message: (bytes) => came.push(Buffer.from(bytes).toString('latin1')),
    closed: () => closed++,
  });
  return { socket, came, messages, closed: () => closed };
}

/** A frame as a server sends it. */
function frame(first: number, payload: string): Buffer {
  const { length } = payload;
  const short = length < 126 ? length : length < 65_536 ? 126 : 127;
  const long = Buffer.alloc(short < 126 ? 0 : short === 126 ? 2 : 8);
  if (long.byteLength === 2) long.writeUInt16BE(length);
  if (long.byteLength === 8) long.writeBigUInt64BE(BigInt(length));
  return Buffer.concat([Buffer.from([first, short]), long, Buffer.from(payload, 'latin1')]);
}

const payloads = ['', 'a', 'b'.repeat(125), 'c'.repeat(126), 'd'.repeat(65_535), 'e'.repeat(65_536)];

it('FRONT-25: messages are read whole, whatever parts their bytes come in', () => {
  const bytes = Buffer.concat(payloads.map((payload) => frame(0x82, payload)));
  for (const partBytes of [1, 2, 3, 127, 4_096, 65_540, bytes.byteLength]) {
    const { socket, came } = open(bytes.subarray(0, 5));
    for (let at = 5; at < bytes.byteLength; at += partBytes) socket.emit('data', bytes.subarray(at, at + partBytes));
    expect(came).toEqual(payloads);
  }
});

it('FRONT-25: a message in several frames is one, with a ping between them', () => {
  const { socket, came } = open();
  for (const part of [frame(0x02, 'a'), frame(0x89, 'p'), frame(0x00, 'b'), frame(0x80, 'c')])
    socket.emit('data', part);
  expect(came).toEqual(['abc']);
  expect(socket.written).toEqual([Buffer.from([0x8a, 0x81, 0, 0, 0, 0, 0x70])]);
});

it('FRONT-25: what is sent is one masked frame, and is read back', () => {
  const { socket, messages } = open();
  for (const payload of payloads) {
    messages.send(Buffer.from(payload, 'latin1'));
    const bytes = Buffer.concat(socket.written.splice(0));
    const lengthBytes = payload.length < 126 ? 0 : payload.length < 65_536 ? 2 : 8;
    // The mask is that of four zeros.
    const unmasked = Buffer.concat([bytes.subarray(0, 2 + lengthBytes), bytes.subarray(2 + lengthBytes + 4)]);
    expect(unmasked[1]).toBe((unmasked[1] ?? 0) | 0x80);
    unmasked[1] = (unmasked[1] ?? 0) & 0x7f;
    expect(unmasked.equals(frame(0x82, payload))).toBe(true);
  }
});

it('FRONT-25: a close frame is answered and ends the connection, and nothing comes after it', () => {
  const { socket, came, closed, messages } = open();
  socket.emit('data', Buffer.concat([frame(0x88, ''), frame(0x82, 'late')]));
  socket.emit('close');
  messages.send(Buffer.from('x'));
  expect([came, closed(), socket.ended]).toEqual([[], 1, true]);
  expect(socket.written).toEqual([Buffer.from([0x88, 0x80, 0, 0, 0, 0])]);
});

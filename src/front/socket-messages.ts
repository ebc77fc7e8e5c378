// The client's end of a WebSocket to the Worker's runtime, with whole binary messages (RFC 6455) and no extensions. The
// runtime is this server's own, so what it sends is trusted to be framed as it should be.

import type { Socket } from 'node:net';
import { type Frame, FrameReader } from './frame-reader.ts';
import { opcodes } from './server-frames.ts';

const finalBit = 0x80;
const maskBit = 0x80;
/** A message up to this is copied behind its head: one write costs more than the copy. */
const joinedBytesMax = 65_536;
const noBytes = Buffer.alloc(0);

export type SocketEvents = {
  readonly message: (message: Uint8Array) => void;
  /** It is called once, whoever closed. */
  readonly closed: () => void;
};

export class SocketMessages {
  readonly #socket: Socket;
  readonly #events: SocketEvents;
  readonly #reader: FrameReader;
  /** The parts so far of a message in several frames. */
  #parts: Buffer[] = [];
  #isClosed = false;

  /** @param first What came behind the answer to the handshake. */
  constructor(socket: Socket, first: Buffer, events: SocketEvents) {
    this.#socket = socket;
    this.#events = events;
    this.#reader = new FrameReader({ frame: (frame) => this.#receive(frame), tooLarge: () => this.close() });
    socket.on('data', (part) => this.#reader.read(part));
    socket.on('error', () => undefined);
    socket.on('end', () => this.close());
    socket.on('close', () => this.close());
    if (first.byteLength > 0) this.#reader.read(first);
    socket.resume();
  }

  /** Bytes that have not left this process. */
  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  send(message: Uint8Array): void {
    if (!this.#isClosed) this.#write(opcodes.binary, message);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#reader.end();
    this.#socket.destroySoon();
    this.#events.closed();
  }

  /** A client's frames are masked (RFC 6455, 5.3). No page chooses these bytes, so the mask may be four zeros. */
  #write(opcode: number, payload: Uint8Array): void {
    const { byteLength } = payload;
    const lengthBytes = byteLength < 126 ? 0 : byteLength < 65_536 ? 2 : 8;
    const headBytes = 2 + lengthBytes + 4;
    const isJoined = byteLength <= joinedBytesMax;
    const head = Buffer.alloc(headBytes + (isJoined ? byteLength : 0));
    head[0] = finalBit | opcode;
    head[1] = maskBit | (lengthBytes === 0 ? byteLength : lengthBytes === 2 ? 126 : 127);
    if (lengthBytes === 2) head.writeUInt16BE(byteLength, 2);
    if (lengthBytes === 8) head.writeUIntBE(byteLength, 4, 6);
    if (isJoined) head.set(payload, headBytes);
    this.#socket.write(head);
    if (!isJoined) this.#socket.write(payload);
  }

  #receive({ opcode, isFinal, payload }: Frame): void {
    switch (opcode) {
      case opcodes.binary:
      case opcodes.continuation:
        if (isFinal && this.#parts.length === 0) return this.#events.message(payload);
        this.#parts.push(payload);
        if (isFinal) this.#events.message(Buffer.concat(this.#parts.splice(0)));
        return;
      case opcodes.ping:
        return this.#write(opcodes.pong, payload);
      case opcodes.pong:
        return;
      default:
        if (opcode === opcodes.close) this.#write(opcodes.close, noBytes);
        this.close();
    }
  }
}

// The server's end of a client's WebSocket (RFC 6455), once its handshake was answered: whole messages, the heartbeat,
// and the closing handshake, as the runtime has them, without extensions.

import type { Socket } from 'node:net';
import { closeAnswer, type CloseFrame } from '../../api/close-frames.ts';
import { heartbeat } from '../../api/upgrade.ts';
import { type Frame, FrameReader } from '../frame-reader.ts';
import { closeFrame, opcodes, pingFrame, serverFrame, textFrame } from '../server-frames.ts';

/** A larger message is none of a watch: it is not read, and the socket ends as the platform would end it. */
const platformMessageBytesMax = 33_554_432;
const protocolError = 1_002;
const messageTooLarge = 1_009;
const noCloseCode = 1_005;
const pong = textFrame(heartbeat.response);
const heartbeatBytes = Buffer.from(heartbeat.request);

export type ClientSocketOptions = {
  /** The bytes of the largest message that its owner looks at. */
  readonly messageBytesMax: number;
  /** Null: the message is larger than its owner looks at. */
  readonly message: (message: Uint8Array | null) => void;
  /** The client has closed, or broken the protocol. Nothing more is sent. */
  readonly closed: () => void;
};

export class ClientSocket {
  readonly #socket: Socket;
  readonly #options: ClientSocketOptions;
  readonly #reader: FrameReader;
  /** The parts so far of a message in several frames. */
  #parts: Buffer[] = [];
  #partBytes = 0;
  /** The opcode of such a message. Null: there is none. */
  #begun: number | null = null;
  #hasClosed = false;
  #clientHasClosed = false;

  constructor(socket: Socket, options: ClientSocketOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#reader = new FrameReader(
      { frame: (frame) => this.#take(frame), tooLarge: (bytes) => this.#tooLarge(bytes) },
      options.messageBytesMax,
    );
  }

  /** This end has said that it closes. */
  get hasClosed(): boolean {
    return this.#hasClosed;
  }

  get clientHasClosed(): boolean {
    return this.#clientHasClosed;
  }

  read(bytes: Buffer): void {
    this.#reader.read(bytes);
  }

  /** @param frame One whole frame or several, which may be shared with other sockets. */
  send(frame: Buffer): void {
    if (!this.#hasClosed) this.#socket.write(frame);
  }

  ping(): void {
    this.send(pingFrame);
  }

  /** `frame` null: it says nothing. The connection ends once both ends have closed. */
  close(frame: CloseFrame | null): void {
    if (this.#hasClosed) return;
    this.#socket.write(closeFrame(frame?.code ?? null, frame?.reason ?? ''));
    this.#hasClosed = true;
    if (this.#clientHasClosed) this.#socket.end();
  }

  #take({ opcode, isFinal, isReserved, payload }: Frame): void {
    if (isReserved) return this.#breaks(reservedBitWords);
    const isControl = opcode >= opcodes.close;
    if (isControl && !isFinal && opcode <= opcodes.pong) return this.#breaks('Received fragmented control frame');
    switch (opcode) {
      case opcodes.continuation:
        if (this.#begun === null) return this.#breaks('Unexpected continuation frame');
        return this.#part(payload, isFinal);
      case opcodes.text:
      case opcodes.binary:
        if (this.#begun !== null) return this.#breaks('Missing continuation frame');
        this.#begun = opcode;
        return this.#part(payload, isFinal);
      case opcodes.close:
        return this.#clientCloses(payload);
      case opcodes.ping:
        return this.#answer(serverFrame(opcodes.pong, payload));
      case opcodes.pong:
        return;
      default:
        return this.#breaks(`Unknown opcode ${opcode}`);
    }
  }

  #part(payload: Buffer, isFinal: boolean): void {
    this.#partBytes += payload.byteLength;
    if (this.#partBytes > this.#options.messageBytesMax) return this.#tooLarge(this.#partBytes);
    this.#parts.push(payload);
    if (!isFinal) return;
    const [only] = this.#parts;
    const message = this.#parts.length === 1 && only !== undefined ? only : Buffer.concat(this.#parts);
    const isText = this.#begun === opcodes.text;
    this.#parts = [];
    this.#partBytes = 0;
    this.#begun = null;
    if (isText && message.equals(heartbeatBytes)) return this.#answer(pong);
    if (!this.#hasClosed) this.#options.message(message);
  }

  /** Whoever sends on without reading the answers is not read further. */
  #answer(frame: Buffer): void {
    this.send(frame);
    if (this.#socket.writableNeedDrain) this.#socket.pause();
  }

  #clientCloses(payload: Buffer): void {
    this.#reader.end();
    this.#clientHasClosed = true;
    const code = payload.byteLength < 2 ? noCloseCode : payload.readUInt16BE(0);
    const hadClosed = this.#hasClosed;
    this.close(closeAnswer(code, payload.toString('utf8', 2)));
    if (hadClosed) this.#socket.end();
    this.#options.closed();
  }

  #tooLarge(bytes: number): void {
    this.#reader.end();
    if (bytes <= platformMessageBytesMax) {
      if (!this.#hasClosed) this.#options.message(null);
      return;
    }
    this.close({ code: messageTooLarge, reason: `Message is too large: ${bytes} > ${platformMessageBytesMax}` });
    this.#options.closed();
  }

  #breaks(words: string): void {
    this.#reader.end();
    this.close({ code: protocolError, reason: words });
    this.#options.closed();
  }
}

/** The reserved bits are for extensions. */
const reservedBitWords = 'Received a WebSocket frame whose compression bit was set, but no extension was negotiated';

// A WebSocket client (RFC 6455) for tests. Unlike the platform's own it sends any header, and shows the answer of a
// refused upgrade. It has whole messages of any length, and no extensions.

import { randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import type { Duplex } from 'node:stream';

const opcodes = { continuation: 0x0, text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const;

export type Upgrade = { readonly status: number; readonly headers: Readonly<Record<string, string>> } & (
  | { readonly socket: WebSocketClient }
  | { readonly socket: null; readonly body: string }
);

/** Returns the server's status and headers, and the socket if the status is 101. */
export function openWebSocket(url: URL, headers: Readonly<Record<string, string>>, waitMs: number): Promise<Upgrade> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url.href, {
      agent: false,
      headers: {
        ...headers,
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
      },
    });
    const timer = setTimeout(() => request.destroy(new Error(`no answer to the upgrade within ${waitMs} ms`)), waitMs);
    request.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    request.on('upgrade', (response, duplex, first) => {
      clearTimeout(timer);
      const socket = new WebSocketClient(duplex, first);
      resolve({ status: response.statusCode ?? 0, headers: flatten(response.headers), socket });
    });
    request.on('response', (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => {
        clearTimeout(timer);
        const body = Buffer.concat(parts).toString('utf8');
        resolve({ status: response.statusCode ?? 0, headers: flatten(response.headers), socket: null, body });
      });
    });
    request.end();
  });
}

function flatten(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value ?? '')]));
}

export class WebSocketClient {
  /** Called with each whole text message, in order. */
  onMessage: (text: string) => void = () => undefined;
  /** Called with each whole binary message, in order. */
  onBinary: (bytes: Uint8Array) => void = () => undefined;
  /** Called once, whichever side closed. */
  onEnd: () => void = () => undefined;
  /** The close frame of the server. Null: none came. */
  closeFrame: { readonly code: number | null; readonly reason: string } | null = null;
  /** Whether this side ends the connection once the server has closed. RFC 6455, 7.1.1 leaves that to the server. */
  endsConnection = true;
  /** Resolves when the server has ended the connection below the WebSocket. */
  readonly serverEnded: Promise<void>;
  readonly #duplex: Duplex;
  #unread: Buffer = Buffer.alloc(0);
  #parts: Buffer[] = [];
  #isBinary = false;
  #started = false;
  #ended = false;
  #closed = false;

  constructor(duplex: Duplex, first: Buffer) {
    this.#duplex = duplex;
    this.#unread = first;
    this.serverEnded = new Promise((resolve) => {
      duplex.on('end', resolve);
    });
    duplex.on('data', (part: Buffer) => {
      this.#unread = this.#unread.byteLength === 0 ? part : Buffer.concat([this.#unread, part]);
      if (this.#started) this.#readFrames();
    });
    duplex.on('error', () => this.#end());
    duplex.on('close', () => this.#end());
    duplex.on('end', () => this.#end());
  }

  /** Begins to hand out messages. Those that came before were kept. */
  start(): void {
    this.#started = true;
    this.#readFrames();
    if (this.#ended) this.onEnd();
  }

  /** False: the socket is closed. */
  send(text: string): boolean {
    return this.#sendFrame(opcodes.text, Buffer.from(text, 'utf8'));
  }

  /** `fragments`: the parts of one text message, a frame each. */
  sendFragments(fragments: readonly string[]): void {
    for (const [place, fragment] of fragments.entries()) {
      const opcode = place === 0 ? opcodes.text : opcodes.continuation;
      this.#sendFrame(opcode, Buffer.from(fragment, 'utf8'), place === fragments.length - 1);
    }
  }

  sendBinary(bytes: Uint8Array): void {
    this.#sendFrame(opcodes.binary, Buffer.from(bytes));
  }

  /** `code` null: the close frame has no code. */
  close(code: number | null = 1_000): void {
    this.#sendClose(code === null ? Buffer.alloc(0) : Buffer.from([code >> 8, code & 0xff]));
    if (this.endsConnection) this.#duplex.end();
  }

  /** A close frame is sent once, whichever side began (RFC 6455, 5.5.1). */
  #sendClose(code: Buffer): void {
    if (!this.#closed) this.#sendFrame(opcodes.close, code);
    this.#closed = true;
  }

  /** Ends the connection without a close frame. */
  destroy(): void {
    this.#duplex.destroy();
  }

  #sendFrame(opcode: number, payload: Buffer, final = true): boolean {
    if (this.#ended || !this.#duplex.writable) return false;
    const mask = randomBytes(4);
    const masked = Buffer.from(payload);
    for (let at = 0; at < masked.byteLength; at++) masked.writeUInt8(masked.readUInt8(at) ^ mask.readUInt8(at % 4), at);
    return this.#duplex.write(Buffer.concat([frameHead(opcode, payload.byteLength, final), mask, masked])) || true;
  }

  #readFrames(): void {
    for (let frame = parseFrame(this.#unread); frame !== null; frame = parseFrame(this.#unread)) {
      this.#unread = this.#unread.subarray(frame.bytes);
      this.#receive(frame);
    }
  }

  #receive(frame: Frame): void {
    switch (frame.opcode) {
      case opcodes.text:
      case opcodes.binary:
      case opcodes.continuation:
        if (frame.opcode !== opcodes.continuation) this.#isBinary = frame.opcode === opcodes.binary;
        this.#parts.push(frame.payload);
        if (frame.final) this.#message(Buffer.concat(this.#parts.splice(0)));
        return;
      case opcodes.ping:
        this.#sendFrame(opcodes.pong, frame.payload);
        return;
      case opcodes.close: {
        const { payload } = frame;
        const code = payload.byteLength < 2 ? null : payload.readUInt16BE(0);
        this.closeFrame = { code, reason: payload.subarray(2).toString('utf8') };
        this.#sendClose(payload.subarray(0, 2));
        this.#end();
        if (this.endsConnection) this.#duplex.end();
        return;
      }
      default:
    }
  }

  #message(bytes: Buffer): void {
    if (this.#isBinary) this.onBinary(bytes);
    else this.onMessage(bytes.toString('utf8'));
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#started) this.onEnd();
  }
}

type Frame = { readonly opcode: number; readonly final: boolean; readonly payload: Buffer; readonly bytes: number };

/** A client's frames are masked (RFC 6455, 5.3): the head says so. */
function frameHead(opcode: number, length: number, final: boolean): Buffer {
  const first = (final ? 0x80 : 0) | opcode;
  if (length < 126) return Buffer.from([first, 0x80 | length]);
  const head = Buffer.alloc(length < 65_536 ? 4 : 10);
  head.writeUInt8(first, 0);
  if (length < 65_536) {
    head.writeUInt8(0x80 | 126, 1);
    head.writeUInt16BE(length, 2);
  } else {
    head.writeUInt8(0x80 | 127, 1);
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  return head;
}

/** The first frame in these bytes. Null: it is not whole yet. The frames of a server are not masked. */
function parseFrame(bytes: Buffer): Frame | null {
  if (bytes.byteLength < 2) return null;
  const short = bytes.readUInt8(1) & 0x7f;
  const headBytes = short === 126 ? 4 : short === 127 ? 10 : 2;
  if (bytes.byteLength < headBytes) return null;
  const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
  if (bytes.byteLength < headBytes + length) return null;
  const first = bytes.readUInt8(0);
  return {
    opcode: first & 0x0f,
    final: (first & 0x80) !== 0,
    payload: bytes.subarray(headBytes, headBytes + length),
    bytes: headBytes + length,
  };
}

// Which protocol a connection speaks: its first bytes say it (RFC 9113, section 3.4; RFC 8446, section 5.1). They are
// put back for whoever reads the connection.

import type { Socket } from 'node:net';

/** The preface of HTTP/2 begins as no request of HTTP/1.1 does. */
const preface = Buffer.from('PRI * HTTP/2.0\r\n', 'latin1');

/** The type of a record of TLS in which a handshake begins. No method of HTTP begins so. */
const handshakeRecord = 0x16;

export type FirstProtocol = 'http1' | 'http2' | 'tls';

/** Null: the bytes may still become either. */
function protocolOfBytes(bytes: Uint8Array): FirstProtocol | null {
  if (bytes[0] === handshakeRecord) return 'tls';
  const length = Math.min(bytes.byteLength, preface.byteLength);
  if (preface.compare(bytes, 0, length, 0, length) !== 0) return 'http1';
  return length === preface.byteLength ? 'http2' : null;
}

/** A connection whose client has not said enough. */
export class FirstBytes {
  readonly sinceMs: number;
  readonly #socket: Socket;
  readonly #told: (protocol: FirstProtocol) => void;
  #bytes = Buffer.alloc(0);

  /** `told` is called once, unless the connection ends before. Then the connection is paused, and whole. */
  constructor(socket: Socket, nowMs: number, told: (protocol: FirstProtocol) => void) {
    this.#socket = socket;
    this.sinceMs = nowMs;
    this.#told = told;
    socket.on('error', this.#gone);
    socket.on('end', this.#gone);
    socket.on('data', this.#read);
  }

  /** Nothing more is read here. */
  leave(): void {
    this.#socket.pause();
    this.#socket.off('data', this.#read);
    this.#socket.off('end', this.#gone);
    this.#socket.off('error', this.#gone);
  }

  readonly #read = (part: Buffer): void => {
    this.#bytes = this.#bytes.byteLength === 0 ? part : Buffer.concat([this.#bytes, part]);
    const protocol = protocolOfBytes(this.#bytes);
    if (protocol === null) return;
    this.leave();
    this.#socket.unshift(this.#bytes);
    this.#told(protocol);
  };

  readonly #gone = (): void => {
    this.#socket.destroy();
  };
}

// A client's WebSocket to /v1/watch that ends at the front. Nothing is answered before a replica has created the watch:
// if one does not, the request is handed on as it came, and the runtime answers it.

import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { type Closing, closeFrameOf } from '../../api/close-frames.ts';
import { requestIdHeader } from '../../api/request-id.ts';
import { servedByHeader } from '../../api/forwarded.ts';
import { attemptTimeoutMs, watchMessageBytesMax } from '../../limits.ts';
import type { FrontBounds } from '../bounds.ts';
import { requestIdIn } from '../headers.ts';
import { Progress } from '../progress.ts';
import { ClientSocket } from './client-socket.ts';
import type { PlainSocket } from './plain-watch.ts';
import type { ClientWatch } from './shared-watches.ts';
import { UnsentMessages } from './unsent-messages.ts';
import { type V1Channel, V1Watch } from './v1-watch.ts';

export type WatchSocketOptions = {
  readonly client: Socket;
  /** The bytes that came behind the request's head. */
  readonly first: Buffer;
  readonly plain: PlainSocket;
  readonly bounds: FrontBounds;
  readonly open: (sink: V1Watch) => ClientWatch;
  /** How far this socket may be behind now. */
  readonly unsentBytesMax: () => number;
  /** The request is to be handed on, with what came behind it. */
  readonly pass: (first: Buffer) => void;
};

/** What is needed until the client is answered. */
type Pending = Pick<WatchSocketOptions, 'plain' | 'pass'> & {
  readonly beganMs: number;
  readonly first: Buffer[];
  firstBytes: number;
};

export class WatchSocket implements V1Channel {
  readonly needsSigns = false;
  readonly hasStatus = false;
  readonly #socket: Socket;
  readonly #bounds: FrontBounds;
  readonly #unsentBytesMax: () => number;
  readonly #watch: V1Watch;
  readonly #frames: ClientSocket;
  /** Null: the client was answered. */
  #pending: Pending | null;
  readonly #unsent = new UnsentMessages();
  readonly #heard = new Progress();
  readonly #taken = new Progress();
  /** The time at which the client was last heard before it was asked whether it lives. Null: it was not asked. */
  #askedAfterMs: number | null = null;
  /** The time since which only the end is waited for. */
  #endingMs: number | null = null;

  constructor({ client, first, plain, bounds, open, unsentBytesMax, pass }: WatchSocketOptions) {
    this.#socket = client;
    this.#bounds = bounds;
    this.#unsentBytesMax = unsentBytesMax;
    this.#pending = { plain, pass, beganMs: performance.now(), first: [first], firstBytes: first.byteLength };
    this.#frames = new ClientSocket(client, {
      messageBytesMax: watchMessageBytesMax,
      message: (message) => this.#watch.message(message),
      closed: () => this.#closed(),
    });
    this.#watch = new V1Watch(this, 'websocket', plain.watch.previous);
    client.on('data', this.#read);
    client.on('drain', this.#drained);
    client.on('error', ignore);
    client.on('end', this.#halfClosed);
    client.on('close', this.end);
    this.#watch.begin(open(this.#watch));
  }

  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  /** What waits, as messages that other clients may share. */
  get unsentMessages(): readonly Buffer[] {
    return this.#unsent.left(this.unsentBytes);
  }

  get unreadSinceMs(): number | null {
    return this.unsentBytes > 0 ? this.#taken.sinceMs : null;
  }

  /** Ends the connection at once. */
  readonly end = (): void => {
    this.#watch.end();
    this.#socket.destroy();
  };

  /** The server ends. The client is told so, and has a moment to answer. */
  finish(): void {
    this.#watch.end();
    if (this.#pending !== null || this.#frames.hasClosed) return this.end();
    this.#frames.close({ code: 1_001, reason: 'the server ends' });
    this.#waitForEnd();
  }

  /** Called once a second. */
  look(nowMs: number): void {
    if (this.#pending !== null) {
      if (nowMs - this.#pending.beganMs > attemptTimeoutMs) this.refused();
      return;
    }
    const { socketClosingMs, answerReadMs, socketSilentMs, socketPingMs } = this.#bounds;
    const owesReading = this.unsentBytes > 0;
    this.#taken.look(this.#socket.bytesWritten - this.unsentBytes, owesReading, nowMs);
    this.#heard.look(this.#socket.bytesRead, true, nowMs);
    const { sinceMs } = this.#heard;
    const isLate =
      (this.#endingMs !== null && nowMs - this.#endingMs > socketClosingMs) ||
      (owesReading && nowMs - this.#taken.sinceMs > answerReadMs) ||
      nowMs - sinceMs > socketSilentMs;
    if (isLate) return this.end();
    this.#watch.tick(nowMs);
    // The client is asked once in each silence.
    if (nowMs - sinceMs <= socketPingMs || this.#askedAfterMs === sinceMs) return;
    this.#askedAfterMs = sinceMs;
    this.#frames.ping();
  }

  /** The watch was created, so the handshake is answered as the runtime answers it. */
  open(message: Buffer, replica: number): void {
    const pending = this.#pending;
    if (pending === null) return;
    this.#pending = null;
    this.#socket.write(
      [
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n',
        `Sec-WebSocket-Accept: ${acceptOf(pending.plain.socketKey)}\r\n${servedByHeader}: ${replica}\r\n`,
        `${requestIdHeader}: ${requestIdIn(pending.plain.headers)}\r\n\r\n`,
      ].join(''),
      'latin1',
    );
    this.#socket.resume();
    this.#frames.send(message);
    for (const part of pending.first) this.#frames.read(part);
  }

  /** No replica created the watch. */
  refused(): void {
    const pending = this.#pending;
    if (pending === null) return;
    this.#pending = null;
    this.#watch.end();
    const socket = this.#socket;
    socket.off('data', this.#read).off('drain', this.#drained).off('error', ignore);
    socket.off('end', this.#halfClosed).off('close', this.end);
    pending.pass(Buffer.concat(pending.first));
  }

  send(message: Buffer): void {
    this.#frames.send(message);
    this.#unsent.sent(message, this.unsentBytes);
  }

  hasRoom(): boolean {
    return this.#socket.writableLength <= this.#unsentBytesMax();
  }

  close(closing: Closing): void {
    this.#frames.close(closeFrameOf(closing));
    this.#waitForEnd();
  }

  readonly #read = (part: Buffer): void => {
    const pending = this.#pending;
    if (pending === null) return this.#frames.read(part);
    pending.first.push(part);
    pending.firstBytes += part.byteLength;
    if (pending.firstBytes > this.#bounds.firstBytesMax) this.#socket.pause();
  };

  readonly #drained = (): void => {
    this.#socket.resume();
    this.#watch.goOn();
  };

  /** Without a close frame the client is gone. With one it may wait for the answer to it, which it has got. */
  readonly #halfClosed = (): void => {
    if (!this.#frames.clientHasClosed) this.end();
  };

  #closed(): void {
    this.#watch.end();
    this.#waitForEnd();
  }

  #waitForEnd(): void {
    this.#endingMs ??= performance.now();
    this.#socket.resume();
  }
}

function ignore(): void {}

/** RFC 6455, section 4.2.2. */
function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

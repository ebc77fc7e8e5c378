// A client's watch over plain HTTP (server-sent events, lines of JSON) that ends at the front. As with a WebSocket,
// nothing is answered before a replica has created the watch: what it refuses is handed on as it came.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { V1Transport } from '../../api/v1/watch.ts';
import { blankOf, watchContentTypes } from '../../api/v1/watch.ts';
import { servedByHeader } from '../../api/forwarded.ts';
import { attemptTimeoutMs, streamProbeMs } from '../../limits.ts';
import { requestIdHeader } from '../../api/request-id.ts';
import { requestIdOf } from '../headers.ts';
import type { ClientWatch } from './shared-watches.ts';
import { UnsentMessages } from './unsent-messages.ts';
import { type V1Channel, V1Watch } from './v1-watch.ts';

export type BodyTransport = Exclude<V1Transport, 'websocket'>;

export type WatchExchangeOptions = {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly transport: BodyTransport;
  readonly previous: boolean;
  readonly open: (sink: V1Watch) => ClientWatch;
  /** How far its client may be behind now. */
  readonly unsentBytesMax: () => number;
  /** The next request of the connection may begin. */
  readonly done: () => void;
  /** The request is to be handed on. */
  readonly pass: () => void;
};

export class WatchExchange implements V1Channel {
  readonly needsSigns = true;
  readonly hasStatus = true;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #transport: BodyTransport;
  readonly #unsentBytesMax: () => number;
  readonly #done: () => void;
  readonly #watch: V1Watch;
  /** Null: the client was answered, or the request is handed on. */
  #pass: (() => void) | null;
  readonly #beganMs = performance.now();
  readonly #unsent = new UnsentMessages();
  #spokeMs = 0;
  #isOver = false;
  /** The connection ends with this answer. */
  isLast = false;
  /** It goes on until somebody ends it. */
  readonly isStream = true;
  readonly awaitsBody = false;
  readonly owesBody = false;
  readonly discardsSinceMs = null;

  constructor({ request, response, transport, previous, open, unsentBytesMax, done, pass }: WatchExchangeOptions) {
    this.#request = request;
    this.#response = response;
    this.#transport = transport;
    this.#unsentBytesMax = unsentBytesMax;
    this.#done = done;
    this.#pass = pass;
    response.on('close', this.#over);
    // The socket says for certain when it has room again. A response may have been full, and may never say so.
    request.socket.on('drain', this.#drained);
    // The connection ended, which the connection itself reports.
    response.on('error', ignore);
    request.on('error', ignore);
    request.resume();
    this.#watch = new V1Watch(this, transport, previous);
    this.#watch.begin(open(this.#watch));
  }

  get unsentMessages(): readonly Buffer[] {
    return this.#unsent.left(this.#request.socket.writableLength);
  }

  get hasBegun(): boolean {
    return this.#response.headersSent;
  }

  /** The client sends nothing more, and nobody waits for such a call. */
  halfClosed(): void {
    this.left();
  }

  left(): void {
    this.giveUp();
    this.#request.socket.destroy();
  }

  giveUp(): void {
    this.#isOver = true;
    this.#request.socket.off('drain', this.#drained);
    this.#pass = null;
    this.#watch.end();
  }

  /** Called once a second. */
  look(nowMs: number): void {
    if (this.#isOver) return;
    if (!this.hasBegun) {
      if (nowMs - this.#beganMs > attemptTimeoutMs) this.refused();
      return;
    }
    this.#watch.tick(nowMs);
    // A client that has left is noticed by a write. What waits already will do.
    if (nowMs - this.#spokeMs < streamProbeMs || this.#request.socket.writableLength > 0) return;
    this.#spokeMs = nowMs;
    this.#response.write(blankOf[this.#transport]);
  }

  open(message: Buffer, replica: number): void {
    this.#pass = null;
    const headers = [requestIdHeader, requestIdOf(this.#request.rawHeaders)];
    headers.push('Content-Type', watchContentTypes[this.#transport], 'Cache-Control', 'no-store');
    headers.push('X-Accel-Buffering', 'no', servedByHeader, String(replica));
    if (this.isLast) headers.push('Connection', 'close');
    this.#response.writeHead(200, headers);
    this.send(message);
  }

  refused(): void {
    const pass = this.#pass;
    if (pass === null) return;
    this.giveUp();
    this.#response.off('close', this.#over).off('error', ignore);
    this.#request.off('error', ignore);
    pass();
  }

  send(message: Buffer): void {
    if (this.#isOver) return;
    this.#spokeMs = performance.now();
    this.#response.write(message);
    this.#unsent.sent(message, this.#request.socket.writableLength);
  }

  hasRoom(): boolean {
    return this.#request.socket.writableLength <= this.#unsentBytesMax();
  }

  /** Why it ends is in the last message. */
  close(): void {
    if (!this.#isOver) this.#response.end();
  }

  readonly #drained = (): void => this.#watch.goOn();

  readonly #over = (): void => {
    if (this.#isOver) return;
    this.giveUp();
    this.#done();
  };
}

function ignore(): void {}

// A client's connection over HTTP: the requests that came on it, of which one at a time is served, and how long its
// client may still take. Here clients that are slow or gone are told from those that wait on purpose.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FrontBounds } from './bounds.ts';
import { Exchange } from './exchange.ts';
import { Progress } from './progress.ts';
import type { Upstream } from './upstream.ts';

/** What every connection of the front shares. */
export type Behind = { readonly upstream: Promise<Upstream>; readonly bounds: FrontBounds };

type Waiting = { readonly request: IncomingMessage; readonly response: ServerResponse };

export class ClientConnection {
  readonly #socket: Socket;
  readonly #upstream: Promise<Upstream>;
  readonly #bounds: FrontBounds;
  readonly #waiting: Waiting[] = [];
  #current: Exchange | null = null;
  /** The progress of bodies that the client sends, and of answers that it reads. */
  readonly #sent = new Progress();
  readonly #taken = new Progress();
  #halfClosed = false;
  #refusedMs: number | null = null;

  constructor(socket: Socket, { upstream, bounds }: Behind) {
    this.#socket = socket;
    this.#upstream = upstream;
    this.#bounds = bounds;
    // The system notices dead machines while nothing is sent: it asks after a minute, then ten times in ten seconds.
    socket.setKeepAlive(true, keepAliveMs);
    // Of a connection whose method is CONNECT, or that is upgraded, node:http takes no errors any more, and an error
    // that nobody takes would end the process.
    socket.on('error', () => undefined);
    socket.on('end', () => {
      this.#halfClosed = true;
      this.#tellHalfClosed();
    });
    socket.on('close', () => {
      this.#current?.left();
      this.#waiting.length = 0;
    });
  }

  /** Bytes for the client that have not left this process. */
  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  get isIdle(): boolean {
    return this.#current === null;
  }

  /**
   * False: an answer has begun, into which nothing else may be written; or a call that came whole is under way, and
   * what is said of the bytes behind it would be taken for its answer.
   */
  get canRefuse(): boolean {
    return this.#current === null || (this.#current.awaitsBody && !this.#current.hasBegun);
  }

  /** The time since which the client has taken nothing of what waits for it. Null: nothing waits. */
  get unreadSinceMs(): number | null {
    return this.unsentBytes > 0 ? this.#taken.sinceMs : null;
  }

  /**
   * Requests of one connection begin and are answered in their order, because the next one may build on the one before.
   */
  serve(request: IncomingMessage, response: ServerResponse): void {
    this.#waiting.push({ request, response });
    if (this.#waiting.length > this.#bounds.pipelinedMax) this.#socket.pause();
    if (this.#current === null) this.#next();
  }

  /** What came is no request. A client that is still sending is given a moment to read why. */
  refuse(answer: string): void {
    this.#waiting.length = 0;
    this.#current?.giveUp();
    this.#current = null;
    this.#refusedMs = performance.now();
    this.#socket.end(answer);
    this.#socket.resume();
  }

  end(): void {
    this.#current?.left();
    this.#socket.destroy();
  }

  /** No further request is taken. An answer that has no end of its own is cut; any other may still be given. */
  finish(): void {
    this.#waiting.length = 0;
    if (this.#current === null || this.#current.isStream) this.end();
    else this.#current.isLast = true;
  }

  /** Called once a second. Ends the connection if its client owes something for too long. */
  look(nowMs: number): void {
    const { discardMs, answerReadMs, bodySilentMs } = this.#bounds;
    const discardsSinceMs = this.#refusedMs ?? this.#current?.discardsSinceMs ?? null;
    const sends = this.#current?.owesBody === true;
    const reads = this.unsentBytes > 0;
    this.#sent.look(this.#socket.bytesRead, sends, nowMs);
    this.#taken.look(this.#socket.bytesWritten - this.unsentBytes, reads, nowMs);
    const isLate =
      (discardsSinceMs !== null && nowMs - discardsSinceMs > discardMs) ||
      (sends && nowMs - this.#sent.sinceMs > bodySilentMs) ||
      (reads && nowMs - this.#taken.sinceMs > answerReadMs);
    if (isLate) this.end();
  }

  /** The requests that came before are answered, and with the last answer the connection ends. */
  #tellHalfClosed(): void {
    if (this.#current === null) return;
    this.#current.isLast = this.#waiting.length === 0;
    this.#current.halfClosed();
  }

  #next(): void {
    const next = this.#waiting.shift();
    if (next === undefined) return;
    if (this.#waiting.length === this.#bounds.pipelinedMax) this.#socket.resume();
    const exchange = new Exchange(next.request, next.response, () => {
      this.#current = null;
      this.#next();
    });
    this.#current = exchange;
    if (this.#halfClosed) this.#tellHalfClosed();
    void this.#upstream.then((upstream) => exchange.begin(upstream));
  }
}

const keepAliveMs = 60_000;

// A client's connection over HTTP: the requests that came on it, of which one at a time is served, and how long its
// client may still take. Here clients that are slow or gone are told from those that wait on purpose.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FrontBounds } from './bounds.ts';
import { Exchange, type ExchangeOptions } from './exchange.ts';
import type { KnownCallers } from './known-callers.ts';
import { plainRequest } from './plain-request.ts';
import { Progress } from './progress.ts';
import { StoreExchange } from './store-exchange.ts';
import type { Upstream } from './upstream.ts';
import { plainStream } from './watch/plain-watch.ts';
import { WatchExchange } from './watch/watch-exchange.ts';

/** What every connection of the front shares. */
export type Behind = {
  readonly upstream: Promise<Upstream>;
  readonly bounds: FrontBounds;
  /** null: there is no runtime yet. */
  readonly callers: () => KnownCallers | null;
  /** What the client of a watch may have unsent now. */
  readonly watchUnsentBytesMax: () => number;
};

type Current = Exchange | StoreExchange | WatchExchange;
type Waiting = { readonly request: IncomingMessage; readonly response: ServerResponse };

export class ClientConnection {
  readonly #socket: Socket;
  readonly #upstream: Promise<Upstream>;
  readonly #bounds: FrontBounds;
  readonly #waiting: Waiting[] = [];
  readonly #callers: () => KnownCallers | null;
  readonly #watchUnsentBytesMax: () => number;
  #current: Current | null = null;
  /** The progress of bodies that the client sends, and of answers that it reads. */
  readonly #sent = new Progress();
  readonly #taken = new Progress();
  #halfClosed = false;
  /** What is said once the calls that came before are answered. Then the connection ends. */
  #refusal: string | null = null;
  /** The time since which only the end is waited for. */
  #endingMs: number | null = null;
  /** The server ends, and waits for no client. */
  #isFinished = false;

  constructor(socket: Socket, { upstream, bounds, callers, watchUnsentBytesMax }: Behind) {
    this.#socket = socket;
    this.#upstream = upstream;
    this.#bounds = bounds;
    this.#callers = callers;
    this.#watchUnsentBytesMax = watchUnsentBytesMax;
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
    // So node:http ends a connection behind its last answer.
    socket.destroySoon = () => this.#endSoon();
  }

  /** Bytes for the client that have not left this process. */
  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  /** Of a watch, what waits as messages that other clients may share. Null: nothing is shared. */
  get unsentMessages(): readonly Buffer[] | null {
    return this.#current instanceof WatchExchange ? this.#current.unsentMessages : null;
  }

  get isIdle(): boolean {
    return this.#current === null;
  }

  /** The time since which the client has taken nothing of what waits for it. Null: nothing waits. */
  get unreadSinceMs(): number | null {
    return this.unsentBytes > 0 ? this.#taken.sinceMs : null;
  }

  /**
   * Requests of one connection begin and are answered in their order, because the next one may build on the one before.
   */
  serve(request: IncomingMessage, response: ServerResponse): void {
    if (this.#refusal !== null || this.#endingMs !== null) {
      request.resume();
      return;
    }
    this.#waiting.push({ request, response });
    if (this.#waiting.length > this.#bounds.pipelinedMax) this.#socket.pause();
    if (this.#current === null) this.#next();
  }

  /**
   * What came is no request, or is not served, and nothing behind it counts. The calls before it are answered first, so
   * that nobody takes the refusal for the answer to one of them.
   */
  refuse(answer: string): void {
    if (this.#refusal !== null || this.#endingMs !== null) return;
    this.#refusal = answer;
    // What came last may be what is refused: a body that cannot be read.
    const whole = this.#waiting.filter(({ request }) => request.complete);
    this.#waiting.splice(0, Infinity, ...whole);
    if (this.#current === null) this.#sayRefusal(answer);
    else if (this.#current.awaitsBody) this.#refuseCurrent(this.#current, answer);
  }

  /** An answer that has begun is cut, since nothing else may be written into it. */
  #refuseCurrent(current: Current, answer: string): void {
    if (current.hasBegun) {
      this.end();
      return;
    }
    current.giveUp();
    this.#current = null;
    this.#sayRefusal(answer);
  }

  #sayRefusal(answer: string): void {
    this.#socket.write(answer);
    this.#endSoon();
  }

  /** A client that is still sending is given a moment to read what was said: a reset would take it away. */
  #endSoon(): void {
    this.#endingMs ??= performance.now();
    this.#waiting.length = 0;
    this.#socket.end(() => {
      if (this.#isFinished) this.#socket.destroy();
    });
    this.#socket.resume();
  }

  end(): void {
    this.#current?.left();
    this.#socket.destroy();
  }

  /** No further request is taken. An answer that has no end of its own is cut; any other may still be given. */
  finish(): void {
    this.#isFinished = true;
    this.#waiting.length = 0;
    if (this.#current === null || this.#current.isStream) this.end();
    else this.#current.isLast = true;
  }

  /** Called once a second. Ends the connection if its client owes something for too long. */
  look(nowMs: number): void {
    const { discardMs, answerReadMs, bodySilentMs } = this.#bounds;
    const discardsSinceMs = this.#endingMs ?? this.#current?.discardsSinceMs ?? null;
    const sends = this.#current?.owesBody === true;
    const reads = this.unsentBytes > 0;
    this.#sent.look(this.#socket.bytesRead, sends, nowMs);
    this.#taken.look(this.#socket.bytesWritten - this.unsentBytes, reads, nowMs);
    const isLate =
      (discardsSinceMs !== null && nowMs - discardsSinceMs > discardMs) ||
      (sends && nowMs - this.#sent.sinceMs > bodySilentMs) ||
      (reads && nowMs - this.#taken.sinceMs > answerReadMs);
    if (isLate) this.end();
    else if (this.#current instanceof WatchExchange) this.#current.look(nowMs);
  }

  /** The requests that came before are answered, and with the last answer the connection ends. */
  #tellHalfClosed(): void {
    if (this.#current === null) return;
    this.#current.isLast = this.#waiting.length === 0;
    this.#current.halfClosed();
  }

  #next(): void {
    const next = this.#waiting.shift();
    if (next === undefined) {
      if (this.#refusal !== null) this.#sayRefusal(this.#refusal);
      return;
    }
    if (this.#waiting.length === this.#bounds.pipelinedMax) this.#socket.resume();
    this.#begin(next);
    if (this.#halfClosed) this.#tellHalfClosed();
  }

  /** A plain call of a caller whom the gateway knows goes by session. All else is handed on. */
  #begin(next: Waiting): void {
    const callers = this.#callers();
    if (callers !== null && this.#watch(next, callers)) return;
    const plain = callers === null ? null : plainRequest(next.request);
    if (callers === null || plain === null) return this.#pass(next);
    const known = callers.find(plain.headers);
    if (known === null) return this.#pass(next, { answered: (status) => callers.answered(plain.headers, status) });
    const memory = callers.reserve(known.store, plain.bodyBytes);
    if (memory === null) return this.#pass(next);
    // Whoever answers has the body until then.
    next.response.once('close', () => memory.release());
    const pass = (body: Buffer): void => this.#pass(next, { body });
    this.#current = new StoreExchange({ ...next, plain, known, callers, done: this.#done, pass });
  }

  /** A plain watch of a caller whom the gateway knows ends here. False: it is none. */
  #watch(next: Waiting, callers: KnownCallers): boolean {
    const plain = plainStream(next.request);
    if (plain === null) return false;
    const known = callers.find(plain.headers);
    if (known === null) {
      this.#pass(next, { answered: (status) => callers.answered(plain.headers, status) });
      return true;
    }
    if (!callers.mayWatch(known)) return false;
    const { store, caller } = known;
    const { transport, watch } = plain;
    this.#current = new WatchExchange({
      ...next,
      transport,
      previous: watch.previous,
      open: (sink) => store.watches.open(caller, watch, sink),
      unsentBytesMax: this.#watchUnsentBytesMax,
      done: this.#done,
      pass: () => this.#pass(next),
    });
    return true;
  }

  #pass({ request, response }: Waiting, options: ExchangeOptions = {}): void {
    const isLast = this.#current?.isLast === true;
    const exchange = new Exchange(request, response, this.#done, options);
    exchange.isLast = isLast;
    this.#current = exchange;
    void this.#upstream.then((upstream) => exchange.begin(upstream));
  }

  readonly #done = (): void => {
    this.#current = null;
    this.#next();
  };
}

const keepAliveMs = 60_000;

// One request of a client and its answer, passed through to the Worker's runtime and back. Both directions stop where
// their reader does, so that neither is ever kept here beyond a piece; a client that has gone ends the call upstream.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { pathAndQuery } from '../api/request-target.ts';
import { endpointOf } from '../api/routes.ts';
import { requestIdHeader } from '../api/request-id.ts';
import { headerOf, type AnswerHead } from './answer-reader.ts';
import { answerHeaders, framingOf, isAskedFor, isContinueExpected, requestIdOf, type BodyFraming } from './headers.ts';
import { runtimeSilent } from './refusals.ts';
import type { CallReceiver, Upstream, UpstreamCall } from './upstream.ts';

export type ExchangeOptions = {
  /** The body, if it was read. */
  readonly body?: Buffer;
  /** Called with the status of the runtime's answer. */
  readonly answered?: (status: number) => void;
};

export class Exchange {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #done: () => void;
  readonly #framing: BodyFraming;
  readonly #body: Buffer | null;
  readonly #answered: ((status: number) => void) | null;
  /** Null: the call has not begun, is over, or was given up. */
  #call: UpstreamCall | null = null;
  #isOver = false;
  /** The body waits until the runtime wants it. */
  readonly #requestId: string;
  #isHeld: boolean;
  #hasWritten = false;
  #answeredMs: number | null = null;
  /** The connection ends with this answer. */
  isLast = false;

  /** `done`: the next request of the connection may begin. */
  constructor(request: IncomingMessage, response: ServerResponse, done: () => void, options: ExchangeOptions = {}) {
    this.#body = options.body ?? null;
    this.#answered = options.answered ?? null;
    this.#request = request;
    this.#response = response;
    this.#done = done;
    this.#framing = framingOf(request.rawHeaders);
    this.#requestId = requestIdOf(request.rawHeaders);
    this.#isHeld = isAskedFor(request.rawHeaders);
    response.on('close', () => this.#over());
    // The connection ended, which the connection itself reports.
    request.on('error', () => undefined);
    response.on('error', () => undefined);
  }

  /**
   * Whether the call goes on until somebody ends it, or waits on purpose. Once its client has gone, nobody waits for
   * such a call.
   */
  get isStream(): boolean {
    const { method = '', url = '' } = this.#request;
    return endpointOf({ method, path: pathOf(url), headers: noHeaders }).patience !== 'hedged';
  }

  get hasBegun(): boolean {
    return this.#response.headersSent;
  }

  /** The client is to send more of its body. */
  get awaitsBody(): boolean {
    return !this.#request.complete;
  }

  /** The client owes more of its body: it is not the runtime that keeps it waiting. */
  get owesBody(): boolean {
    return this.awaitsBody && !this.#isHeld;
  }

  /** The time since which the answer is written and the rest of the body means nothing. Null: that is not so. */
  get discardsSinceMs(): number | null {
    return this.#request.complete ? null : this.#answeredMs;
  }

  begin(upstream: Upstream): void {
    if (this.#isOver) return;
    const { method = '', url = '', rawHeaders, socket } = this.#request;
    const lines = upstream.lines(rawHeaders, { address: socket.remoteAddress, requestId: this.#requestId });
    const head = `${method} ${url} HTTP/1.1\r\n${lines}\r\n`;
    this.#call = upstream.call(method, head, this.#receiver());
    if (this.#framing === 'none') this.#call.sent();
    else if (!this.#isHeld) this.#sendBody();
  }

  /**
   * The client sends nothing more, and may still read. A call that is answered at once is still answered, and no other.
   */
  halfClosed(): void {
    if (this.isStream || !this.#request.complete) this.left();
  }

  /** The client has gone. */
  left(): void {
    this.giveUp();
    this.#request.socket.destroy();
  }

  /** Gives the call up: nothing is asked any more, and nothing answered. */
  giveUp(): void {
    const call = this.#call;
    this.#call = null;
    this.#isOver = true;
    call?.abort();
  }

  #sendBody(): void {
    if (this.#body !== null) {
      this.#sendPart(this.#body);
      this.#sendEnd();
      return;
    }
    this.#request.on('data', (part: Buffer) => this.#sendPart(part));
    this.#request.on('end', () => this.#sendEnd());
  }

  #sendPart(part: Buffer): void {
    // The answer came before the body was read. The rest is taken for a while, so that the client reads the answer.
    if (this.#call === null) return;
    if (this.#framing === 'chunked') this.#call.write(`${part.byteLength.toString(16)}\r\n`);
    const isTaken = this.#call.write(part);
    if (this.#framing === 'chunked') this.#call.write('\r\n');
    if (!isTaken) this.#request.pause();
  }

  #sendEnd(): void {
    if (this.#framing === 'chunked') this.#call?.write('0\r\n\r\n');
    this.#call?.sent();
  }

  #receiver(): CallReceiver {
    return {
      continues: () => this.#continue(),
      answers: (head) => this.#answer(head),
      receives: (parts, isWhole) => this.#pass(parts, isWhole),
      upgrades: (_, socket) => {
        socket.destroy();
        this.#fail();
      },
      drained: () => this.#request.resume(),
      failed: () => this.#fail(),
    };
  }

  #continue(): void {
    const { complete, headers, httpVersionMinor } = this.#request;
    // A client of HTTP/1.0 knows no such answer.
    const isAwaited = httpVersionMinor > 0 && isContinueExpected(headers.expect ?? '');
    if (isAwaited && !complete) this.#response.writeContinue();
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#sendBody();
  }

  #answer({ status, reason, rawHeaders }: AnswerHead): void {
    this.#answered?.(status);
    const headers = answerHeaders(rawHeaders, this.#requestId);
    // What the runtime has not asked for by now it does not want.
    if (this.#isHeld) this.#request.resume();
    if (this.isLast) headers.push('Connection', 'close');
    this.#response.writeHead(status, reason, headers);
    // An answer in parts begins before its first part is there.
    if (headerOf(rawHeaders, 'content-length') === null) setImmediate(() => this.#flushHead());
  }

  #flushHead(): void {
    if (!this.#hasWritten && !this.#isOver) this.#response.flushHeaders();
  }

  #pass(parts: readonly Buffer[], isWhole: boolean): void {
    if (isWhole) this.#call = null;
    this.#hasWritten = true;
    const response = this.#response;
    if (isWhole && parts.length <= 1) {
      this.#finish(parts[0]);
      return;
    }
    for (const part of parts) response.write(part);
    if (isWhole) this.#finish();
    else if (this.#request.socket.writableNeedDrain) this.#waitForReader();
  }

  /** The socket says for certain when it has room again. A response may have been full, and may never say so. */
  #waitForReader(): void {
    const call = this.#call;
    call?.pause();
    this.#request.socket.once('drain', () => {
      if (call === this.#call) call?.resume();
    });
  }

  #finish(last?: Buffer): void {
    this.#answeredMs = performance.now();
    this.#request.resume();
    this.#response.end(last);
  }

  /**
   * The runtime has gone, or sent what is no answer. An answer that has begun is cut, so that nobody takes it for
   * whole.
   */
  #fail(): void {
    this.#call = null;
    if (this.hasBegun) {
      this.#request.socket.destroy();
      return;
    }
    this.#answeredMs = performance.now();
    const text = `${runtimeSilent}\n`;
    this.#response.writeHead(502, {
      [requestIdHeader]: this.#requestId,
      'Content-Type': 'text/plain',
      'Content-Length': text.length,
      Connection: 'close',
    });
    this.#response.end(text);
  }

  /** The call was answered whole, or the connection has ended. */
  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const call = this.#call;
    this.#call = null;
    call?.abort();
    if (this.#request.complete) this.#done();
    else this.#request.once('end', this.#done);
  }
}

/** No header makes a plain request another call. */
const noHeaders = new Headers();

/** The path without its query, and in the absolute form (RFC 9112, section 3.2.2) without what stands before it. */
function pathOf(target: string): string {
  if (!target.startsWith('/')) return pathAndQuery(target).path;
  const mark = target.indexOf('?');
  return mark < 0 ? target : target.slice(0, mark);
}

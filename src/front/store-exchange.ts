// One request of a client and its answer, by session: the call is parsed here, and its answer rendered here, by what
// the gateway uses for both. What turns out to be no such call is handed on as it came.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Answer } from '../api/answer.ts';
import { isProblem, problemOfRequest, requestIdHeader } from '../api/request-id.ts';
import { requestIdOf } from './headers.ts';
import { askedOf } from './asked-call.ts';
import type { Asked } from './asked.ts';
import type { Known, KnownCallers } from './known-callers.ts';
import type { PlainRequest } from './plain-request.ts';

export type StoreExchangeOptions = {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly plain: PlainRequest;
  readonly known: Known;
  readonly callers: KnownCallers;
  /** The next request of the connection may begin. */
  readonly done: () => void;
  /** The request is to be handed on, with the body that was read. */
  readonly pass: (body: Buffer) => void;
};

/** A body of bytes up to this leaves in one write with the head: a second write costs more than the copy. */
const joinedBytesMax = 16_384;

export class StoreExchange {
  readonly #options: StoreExchangeOptions;
  readonly #parts: Buffer[] = [];
  /** Null: no store was asked. */
  #asked: Asked | null = null;
  #isOver = false;
  /** The connection ends with this answer. */
  isLast = false;
  /** The body is read to its end before anything is answered. */
  readonly discardsSinceMs = null;

  constructor(options: StoreExchangeOptions) {
    this.#options = options;
    const { request, response } = options;
    response.on('close', () => this.#over());
    // The connection ended, which the connection itself reports.
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    request.on('data', (part: Buffer) => this.#parts.push(part));
    request.on('end', () => this.#begin());
  }

  /** The call waits on purpose: once its client has gone, nobody waits for it. Any other is answered at once. */
  get isStream(): boolean {
    return this.#options.plain.endpoint.patience === 'waits';
  }

  get hasBegun(): boolean {
    return this.#options.response.headersSent;
  }

  get awaitsBody(): boolean {
    return !this.#options.request.complete;
  }

  get owesBody(): boolean {
    return this.awaitsBody;
  }

  /** The client sends nothing more, and may still read. A call that came whole and does not wait is answered. */
  halfClosed(): void {
    if (this.isStream || !this.#options.request.complete) this.left();
  }

  left(): void {
    this.giveUp();
    this.#options.request.socket.destroy();
  }

  giveUp(): void {
    this.#end();
    this.#asked?.cancel();
  }

  #begin(): void {
    if (this.#isOver) return;
    const body = this.#parts.length === 1 ? this.#parts[0] : undefined;
    const whole = body ?? Buffer.concat(this.#parts);
    this.#serve(whole).then(
      (answer) => {
        if (this.#isOver) return;
        if (answer === null) this.#pass(whole);
        else this.#answer(answer);
      },
      (error: unknown) => {
        // It is a fault of this code. It ends the connection, and not this process.
        console.error(error);
        this.left();
      },
    );
  }

  /** Null: the gateway is to judge the call, which was not begun: it refuses in an order of its own. */
  async #serve(body: Buffer): Promise<Answer | null> {
    const { plain, known, callers, response } = this.#options;
    const { servedBy, parse } = plain.endpoint;
    const untilRead = (release: () => void): void => {
      response.once('close', release);
    };
    const asked = askedOf(() => parse({ ...plain, body }), { known, callers, servedBy, untilRead });
    if (asked === null) return null;
    known.store[asked.counter]++;
    this.#asked = asked;
    return await asked.answer();
  }

  #answer(answer: Answer): void {
    const { response, plain } = this.#options;
    const requestId = requestIdOf(this.#options.request.rawHeaders);
    const body = plain.method === 'HEAD' ? null : bodyOf(answer, requestId);
    const bytes = body === null ? 0 : Buffer.byteLength(body);
    const headers = [requestIdHeader, requestId];
    for (const name in answer.headers) headers.push(name, answer.headers[name] ?? '');
    if (body !== null && answer.headers['content-length'] === undefined) headers.push('content-length', String(bytes));
    if (this.isLast) headers.push('Connection', 'close');
    response.writeHead(answer.status, headers);
    // A text leaves in one write with the head. Of one byte for each character, it need not be looked at for others.
    if (typeof body === 'string') response.end(body, bytes === body.length ? 'latin1' : 'utf8');
    else if (body === null || bytes > joinedBytesMax) response.end(body);
    else response.end(Buffer.from(body.buffer, body.byteOffset, bytes).latin1Slice(), 'latin1');
  }

  #pass(body: Buffer): void {
    this.#end();
    this.#options.pass(body);
  }

  /** The call was answered whole, or the connection has ended. */
  #over(): void {
    if (this.#isOver) return;
    this.giveUp();
    this.#options.done();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#asked !== null) this.#options.known.store[this.#asked.counter]--;
  }
}

function bodyOf({ body, headers }: Answer, requestId: string): Answer['body'] {
  return typeof body === 'string' && isProblem(headers['content-type']) ? problemOfRequest(body, requestId) : body;
}

// One stream of HTTP/2 as one call of gRPC: its messages, its deadline, its status in the trailers. What the call is
// about is not known here.

import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { frameMessages, MessageReader } from '../../api/grpc/framing.ts';
import type { Timeout } from '../../api/grpc/metadata.ts';
import { type GrpcStatus, statusTrailers } from '../../api/grpc/status.ts';
import { requestIdHeader } from '../../api/request-id.ts';
import { grpc } from '../../api/errors/wire-error.ts';
import { messageBytesMax } from '../../limits.ts';
import { Progress } from '../progress.ts';
import type { GrpcCall, GrpcReply } from './grpc-call.ts';
import type { HeldBytes } from './held-bytes.ts';

const { NGHTTP2_NO_ERROR, NGHTTP2_CANCEL, HTTP2_HEADER_CONTENT_TYPE, HTTP2_HEADER_STATUS } = constants;

function answerHeaders(requestId: string): OutgoingHttpHeaders {
  return {
    [HTTP2_HEADER_STATUS]: 200,
    [HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
    [requestIdHeader]: requestId,
  };
}

/** Longer timers fire at once. A call is over before that. */
const timerMsMax = 2 ** 31 - 1;

export type GrpcStreamOptions = {
  readonly requestId: string;
  readonly held: HeldBytes;
  /** Something is sent to the client. */
  readonly sent: () => void;
};

export class GrpcStream implements GrpcReply {
  readonly #stream: ServerHttp2Stream;
  readonly #requestId: string;
  readonly #reader = new MessageReader(messageBytesMax);
  readonly #held: HeldBytes;
  readonly #sent: () => void;
  #heldBytes = 0;
  /** What waits for the client counts down. */
  readonly #taken = new Progress();
  #call: GrpcCall | null = null;
  #timer: NodeJS.Timeout | null = null;
  #isOver = false;

  constructor(stream: ServerHttp2Stream, { requestId, held, sent }: GrpcStreamOptions) {
    this.#stream = stream;
    this.#requestId = requestId;
    this.#held = held;
    this.#sent = sent;
    // An error ends the stream, which `close` tells.
    stream.on('error', () => undefined);
    stream.on('close', () => this.#left());
  }

  get isStream(): boolean {
    return this.#call?.isStream === true;
  }

  unsentBytes(): number {
    return this.#stream.destroyed ? 0 : this.#stream.writableLength;
  }

  /** The time since which the client has taken nothing of what waits for it. Null: nothing waits. */
  get unreadSinceMs(): number | null {
    return this.unsentBytes() > 0 ? this.#taken.sinceMs : null;
  }

  /** Called once a second. A client that takes nothing of what waits for it, for too long, has given the call up. */
  look(nowMs: number, answerReadMs: number): void {
    const { writableLength } = this.#stream;
    this.#taken.look(writableLength, writableLength > 0, nowMs);
    if (writableLength > 0 && nowMs - this.#taken.sinceMs > answerReadMs) this.#stream.close(NGHTTP2_CANCEL);
    else this.#call?.look?.(nowMs);
  }

  /** Serves the messages of the client by the call that is made here. */
  serve(timeout: Timeout, make: (reply: GrpcReply) => GrpcCall): void {
    if (timeout.kind === 'malformed') {
      this.finish({ code: grpc.internal, message: 'malformed grpc-timeout' });
      return;
    }
    if (timeout.kind === 'after') {
      this.#timer = setTimeout(() => this.#late(), Math.min(timeout.timeoutMs, timerMsMax));
    }
    this.#call = make(this);
    this.#stream.on('data', (part: Buffer) => this.#read(part));
    this.#stream.on('end', () => this.#ended());
    this.#stream.on('drain', () => this.#call?.drained());
  }

  send(message: Uint8Array): boolean {
    return this.sendAll([message]);
  }

  sendAll(messages: readonly Uint8Array[]): boolean {
    if (this.#isOver) return true;
    this.#sent();
    if (!this.#stream.headersSent) this.#respond();
    return this.#stream.write(frameMessages(messages));
  }

  /** Ends the call from outside: it is told, and its client gets this status. */
  end(status: GrpcStatus): void {
    this.#call?.left();
    this.finish(status);
  }

  finish(status: GrpcStatus): void {
    if (this.#isOver) return;
    this.#over();
    this.#sent();
    const stream = this.#stream;
    if (stream.destroyed) return;
    if (!stream.headersSent) {
      stream.respond({ ...answerHeaders(this.#requestId), ...statusTrailers(status) }, { endStream: true });
      this.#leaveRest();
      return;
    }
    stream.once('wantTrailers', () => {
      stream.sendTrailers(statusTrailers(status));
      this.#leaveRest();
    });
    stream.end();
  }

  untilRead(release: () => void): void {
    this.#stream.once('close', release);
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  #respond(): void {
    this.#stream.respond(answerHeaders(this.#requestId), { waitForTrailers: true });
  }

  #read(part: Buffer): void {
    if (this.#isOver) return;
    if (!this.#held.take(part.byteLength)) {
      this.end({ code: grpc.resourceExhausted, message: 'quorate: too many bytes of requests are under way' });
      return;
    }
    this.#heldBytes += part.byteLength;
    const read = this.#reader.read(part);
    if (read.kind === 'refused') {
      this.end(read.status);
      return;
    }
    for (const message of read.messages) this.#call?.receives(message);
    // What a stream said is not kept, however long it lives.
    if (this.isStream) this.#release();
  }

  #ended(): void {
    if (this.#isOver) return;
    if (!this.#reader.isInside) {
      this.#call?.halfClosed();
      return;
    }
    this.end({ code: grpc.internal, message: 'unexpected EOF' });
  }

  #late(): void {
    this.end({ code: grpc.deadlineExceeded, message: 'context deadline exceeded' });
  }

  #left(): void {
    if (this.#isOver) return;
    const call = this.#call;
    this.#over();
    call?.left();
  }

  #over(): void {
    this.#isOver = true;
    this.#call = null;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#release();
  }

  #release(): void {
    this.#held.give(this.#heldBytes);
    this.#heldBytes = 0;
  }

  /** What the client still sends is not wanted: the stream ends with its answer. */
  #leaveRest(): void {
    const stream = this.#stream;
    stream.resume();
    if (!stream.readableEnded) setImmediate(() => stream.close(NGHTTP2_NO_ERROR));
  }
}

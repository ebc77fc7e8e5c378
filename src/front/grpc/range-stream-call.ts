// A stream of a range (KV.RangeStream) as the range that it is.

import { rangeStreamMessage, rangeStreamRefusal } from '../../api/grpc/range-stream.ts';
import type { GrpcCall, GrpcReply } from './grpc-call.ts';

export class RangeStreamCall implements GrpcCall {
  readonly isStream = false;
  readonly #reply: GrpcReply;
  readonly #range: GrpcCall;
  #isRefused = false;

  /** `range` makes the call of the range. */
  constructor(reply: GrpcReply, range: (reply: GrpcReply) => GrpcCall) {
    this.#reply = reply;
    this.#range = range({
      send: (message) => reply.send(rangeStreamMessage(message)),
      sendAll: (messages) => reply.sendAll(messages.map(rangeStreamMessage)),
      unsentBytes: () => reply.unsentBytes(),
      finish: (status) => reply.finish(status),
      untilRead: (release) => reply.untilRead(release),
      pause: () => reply.pause(),
      resume: () => reply.resume(),
    });
  }

  receives(message: Uint8Array): void {
    const refusal = rangeStreamRefusal(message);
    if (refusal === null) return this.#range.receives(message);
    this.#isRefused = true;
    this.#reply.finish(refusal);
  }

  halfClosed(): void {
    if (!this.#isRefused) this.#range.halfClosed();
  }

  left(): void {
    this.#range.left();
  }

  drained(): void {
    this.#range.drained();
  }
}

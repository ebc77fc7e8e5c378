// A call of one message and one answer by gRPC, by session where that is possible: the message is read, and the answer
// rendered, here. What is refused before a store is asked, or cannot go by session, goes to the gateway as JSON.

import type { Answer } from '../../api/answer.ts';
import type { ServedBy } from '../../api/endpoint.ts';
import { grpc } from '../../api/errors/wire-error.ts';
import type { ParseNative } from '../../api/grpc/native-calls.ts';
import { okStatus, statusOfAnswer } from '../../api/grpc/status.ts';
import { assert } from '../../base/assert.ts';
import { type CallFrame, frameOf } from '../../routing/call-frame.ts';
import { AskedStore } from '../asked-store.ts';
import type { Known, KnownCallers } from '../known-callers.ts';
import type { GrpcCall, GrpcReply } from './grpc-call.ts';

export type StoreCallOptions = {
  readonly parse: ParseNative;
  readonly servedBy: ServedBy;
  /** Null: the gateway has not taken the caller's credentials, as far as is known, or there is no runtime yet. */
  readonly known: () => { readonly known: Known; readonly callers: KnownCallers } | null;
  /** The call by JSON. */
  readonly byJson: () => GrpcCall;
};

export class StoreCall implements GrpcCall {
  readonly #options: StoreCallOptions;
  readonly #reply: GrpcReply;
  #byJson: GrpcCall | null = null;
  #asked: AskedStore | null = null;
  #isOver = false;
  #hasEnded = false;
  #hasBegun = false;
  readonly isStream = false;

  constructor(reply: GrpcReply, options: StoreCallOptions) {
    this.#reply = reply;
    this.#options = options;
  }

  receives(message: Uint8Array): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    const found = this.#options.known();
    const memory = found === null ? null : found.callers.reserve(found.known.store, message.byteLength);
    const frame = found === null || memory === null ? null : this.#frame(message, found);
    if (found === null || memory === null || frame === null) {
      memory?.release();
      this.#pass(message);
      return;
    }
    const { known, callers } = found;
    known.store.callsUnderWay++;
    const untilRead = (release: () => void): void => this.#reply.untilRead(release);
    const { servedBy } = this.#options;
    const asked = new AskedStore({ frame, known, callers, servedBy, untilRead });
    this.#asked = asked;
    void asked
      .answer()
      .then(
        (answer) => this.#came(answer, message),
        (error: unknown) => {
          // It is a fault of this code. It ends the call, and not this process.
          console.error(error);
          this.#finish({ code: grpc.internal, message: 'quorate: a fault of this server' });
        },
      )
      .finally(() => {
        memory.release();
        known.store.callsUnderWay--;
      });
  }

  halfClosed(): void {
    this.#hasEnded = true;
    if (!this.#hasBegun) this.#finish({ code: grpc.internal, message: 'EOF' });
    this.#byJson?.halfClosed();
  }

  left(): void {
    this.#isOver = true;
    this.#asked?.cancel();
    this.#byJson?.left();
  }

  drained(): void {
    this.#byJson?.drained();
  }

  #frame(message: Uint8Array, { known, callers }: { known: Known; callers: KnownCallers }): CallFrame | null {
    if (!callers.mayAsk(known)) return null;
    const call = this.#options.parse(message);
    return call === null ? null : frameOf(call);
  }

  #came(answer: Answer | null, message: Uint8Array): void {
    if (this.#isOver) return;
    if (answer === null) {
      this.#pass(message);
      return;
    }
    if (answer.status !== 200) {
      this.#finish(statusOfAnswer(answer));
      return;
    }
    assert(answer.body instanceof Uint8Array, 'an answer of such a call is a message');
    this.#reply.send(answer.body);
    this.#finish(okStatus);
  }

  #pass(message: Uint8Array): void {
    this.#asked = null;
    this.#byJson = this.#options.byJson();
    this.#byJson.receives(message);
    if (this.#hasEnded) this.#byJson.halfClosed();
  }

  #finish(status: { readonly code: number; readonly message: string }): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#reply.finish(status);
  }
}

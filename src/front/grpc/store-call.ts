// A call by gRPC that goes to a store by session where that is possible: its messages are read, and the answers
// rendered, here. What is refused before a store is asked, or cannot go by session, goes to the gateway as JSON.

import type { Answer } from '../../api/answer.ts';
import type { ServedBy } from '../../api/endpoint.ts';
import { grpc } from '../../api/errors/wire-error.ts';
import type { ParseNative } from '../../api/grpc/native-calls.ts';
import { type GrpcStatus, okStatus, statusOfAnswer } from '../../api/grpc/status.ts';
import { assert } from '../../base/assert.ts';
import { grpcMessagesWaitingMax } from '../../limits.ts';
import { askedOf } from '../asked-call.ts';
import type { Asked } from '../asked.ts';
import type { Known, KnownCallers } from '../known-callers.ts';
import type { GrpcCall, GrpcReply } from './grpc-call.ts';

type KnownOf = { readonly known: Known; readonly callers: KnownCallers };

export type StoreCallOptions = {
  readonly parse: ParseNative;
  /** Each message is asked for itself, one after the other. Else there is one message. */
  readonly isStream: boolean;
  readonly servedBy: ServedBy;
  /** Null: the gateway has not taken the caller's credentials, as far as is known, or there is no runtime yet. */
  readonly known: () => KnownOf | null;
  /** The call by JSON. */
  readonly byJson: () => GrpcCall;
};

export class StoreCall implements GrpcCall {
  readonly isStream: boolean;
  readonly #options: StoreCallOptions;
  readonly #reply: GrpcReply;
  /** Messages behind the one that is asked. */
  readonly #waiting: Uint8Array[] = [];
  #asked: Asked | null = null;
  /** From now on all goes this way. */
  #byJson: GrpcCall | null = null;
  #hasBegun = false;
  #hasEnded = false;
  #isOver = false;

  constructor(reply: GrpcReply, options: StoreCallOptions) {
    this.#reply = reply;
    this.#options = options;
    this.isStream = options.isStream;
  }

  receives(message: Uint8Array): void {
    if (this.#byJson !== null) return this.#byJson.receives(message);
    // What follows the one message of such a call means nothing.
    if (this.#hasBegun && !this.isStream) return;
    this.#hasBegun = true;
    this.#waiting.push(message);
    if (this.#waiting.length >= grpcMessagesWaitingMax) this.#reply.pause();
    if (this.#asked === null) this.#next();
  }

  halfClosed(): void {
    this.#hasEnded = true;
    if (this.#byJson !== null) this.#byJson.halfClosed();
    else if (!this.#hasBegun && !this.isStream) this.#finish({ code: grpc.internal, message: 'EOF' });
    else if (this.#asked === null) this.#finish(okStatus);
  }

  left(): void {
    this.#isOver = true;
    this.#waiting.length = 0;
    this.#asked?.cancel();
    this.#byJson?.left();
  }

  drained(): void {
    if (this.#byJson !== null) this.#byJson.drained();
    else if (this.#asked === null) this.#next();
  }

  #next(): void {
    const message = this.#waiting.shift();
    if (message === undefined) {
      if (this.#hasEnded) this.#finish(okStatus);
      return;
    }
    if (this.#waiting.length < grpcMessagesWaitingMax) this.#reply.resume();
    const found = this.#options.known();
    const memory = found === null ? null : found.callers.reserve(found.known.store, message.byteLength);
    const asked = found === null || memory === null ? null : this.#askedOf(message, found);
    if (found === null || memory === null || asked === null) {
      memory?.release();
      this.#pass(message);
      return;
    }
    const { store } = found.known;
    store[asked.counter]++;
    this.#asked = asked;
    void asked
      .answer()
      .then(
        (answer) => {
          this.#asked = null;
          this.#came(answer, message);
        },
        (error: unknown) => {
          // It is a fault of this code. It ends the call, and not this process.
          console.error(error);
          this.#finish({ code: grpc.internal, message: 'quorate: a fault of this server' });
        },
      )
      .finally(() => {
        memory.release();
        store[asked.counter]--;
      });
  }

  #askedOf(message: Uint8Array, { known, callers }: KnownOf): Asked | null {
    const { parse, servedBy } = this.#options;
    const untilRead = (release: () => void): void => this.#reply.untilRead(release);
    return askedOf(() => parse(message), { known, callers, servedBy, untilRead });
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
    const isTaken = this.#reply.send(answer.body);
    if (!this.isStream) this.#finish(okStatus);
    else if (isTaken) this.#next();
  }

  #pass(message: Uint8Array): void {
    const call = this.#options.byJson();
    this.#byJson = call;
    for (const each of [message, ...this.#waiting.splice(0)]) call.receives(each);
    this.#reply.resume();
    if (this.#hasEnded) call.halfClosed();
  }

  #finish(status: GrpcStatus): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#reply.finish(status);
  }
}

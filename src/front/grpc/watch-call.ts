// A stream of etcd's Watch that ends at the front, over watches by session. What it says is what etcd says
// (`api/v3/watch-stream.ts`). The stream of a caller whom the gateway does not take goes there as JSON.

import { etcdWords } from '../../api/errors/errors.ts';
import { grpc } from '../../api/errors/wire-error.ts';
import { decodeWatchMessage, grpcEvents, watchMessage } from '../../api/grpc/watch-messages.ts';
import type { ResponseHeader } from '../../model/calls.ts';
import { frontWatchRequestsWaitingMax } from '../../limits.ts';
import type { Known, KnownCallers } from '../known-callers.ts';
import { storePosition } from '../watch/store-position.ts';
import { StreamWatches } from '../watch/stream-watches.ts';
import type { GrpcCall, GrpcReply } from './grpc-call.ts';

type KnownOf = { readonly known: Known; readonly callers: KnownCallers };

export type WatchCallOptions = {
  /** Null: the gateway has not taken the caller's credentials, as far as is known, or there is no runtime yet. */
  readonly known: () => KnownOf | null;
  /** Asks the gateway whether it takes the caller's credentials, and calls back once that is known. */
  readonly learn: (then: () => void) => void;
  /** How far the client may be behind now. */
  readonly unsentBytesMax: () => number;
  /** The call by JSON. */
  readonly byJson: () => GrpcCall;
};

export class WatchCall implements GrpcCall {
  readonly isStream = true;
  readonly #reply: GrpcReply;
  readonly #options: WatchCallOptions;
  /** Messages that came before it was known where the call goes. Null: it is known. */
  #waiting: Uint8Array[] | null = [];
  #hasBegun = false;
  #hasEnded = false;
  /** From now on all goes this way. */
  #byJson: GrpcCall | null = null;
  #open: { readonly watches: StreamWatches<Uint8Array>; readonly known: Known } | null = null;
  /** What was said in this turn leaves in one piece. */
  #said: Uint8Array[] = [];
  #saidBytes = 0;
  #isPaused = false;
  #isOver = false;

  constructor(reply: GrpcReply, options: WatchCallOptions) {
    this.#reply = reply;
    this.#options = options;
  }

  receives(message: Uint8Array): void {
    if (this.#byJson !== null) return this.#byJson.receives(message);
    if (this.#open !== null) return this.#take(message, this.#open.watches);
    this.#waiting?.push(message);
    if ((this.#waiting?.length ?? 0) >= frontWatchRequestsWaitingMax) this.#reply.pause();
    if (!this.#hasBegun) this.#begin(true);
  }

  /** As at etcd, the end of the client's messages ends no watch. */
  halfClosed(): void {
    this.#hasEnded = true;
    if (this.#byJson !== null) this.#byJson.halfClosed();
    else if (!this.#hasBegun) this.#pass();
  }

  left(): void {
    this.#isOver = true;
    this.#byJson?.left();
    this.#close();
  }

  drained(): void {
    this.#byJson?.drained();
    this.#open?.watches.goOn();
    this.#readOn();
  }

  look(nowMs: number): void {
    this.#open?.watches.tick(nowMs);
  }

  #begin(mayLearn: boolean): void {
    this.#hasBegun = true;
    const found = this.#options.known();
    if (found !== null && found.callers.mayBeAsked(found.known)) {
      void storePosition(found.known, found.callers).then(
        (header) => this.#positioned(found, header),
        (error: unknown) => this.#broke(error),
      );
    } else if (found === null && mayLearn) {
      this.#options.learn(() => {
        if (!this.#isOver) this.#begin(false);
      });
    } else {
      this.#pass();
    }
  }

  #positioned(found: KnownOf, header: ResponseHeader | null): void {
    if (this.#isOver) return;
    if (header === null) return this.#pass();
    const { known, callers } = found;
    const watches: StreamWatches<Uint8Array> = new StreamWatches<Uint8Array>(
      {
        open: (wanted, sink) => known.store.watches.open(known.caller, wanted, sink),
        position: (then) => void storePosition(known, callers).then(then, (error: unknown) => this.#broke(error)),
        hasRoom: () => this.#saidBytes + this.#reply.unsentBytes() <= this.#options.unsentBytesMax(),
        accessEnded: (failure) => this.#finish(grpc.unauthenticated, etcdWords(failure)),
        lost: () => this.#finish(grpc.unavailable, 'quorate: no replica can be reached, watch again'),
      },
      { ...grpcEvents, write: (at, answer, events) => this.#say(watchMessage(at, answer, events)) },
      header,
    );
    this.#open = { watches, known };
    known.store.streams++;
    for (const message of this.#waiting ?? []) if (!this.#isOver) this.#take(message, watches);
    this.#waiting = null;
    this.#isPaused = true;
    this.#readOn();
  }

  #take(message: Uint8Array, watches: StreamWatches<Uint8Array>): void {
    const request = decodeWatchMessage(message);
    if (request === null) {
      const words = 'grpc: error unmarshalling request: not a message of etcdserverpb.WatchRequest';
      return this.#finish(grpc.internal, words);
    }
    watches.take(request);
    this.#readOn();
  }

  #say(message: Uint8Array): void {
    if (this.#isOver) return;
    this.#said.push(message);
    this.#saidBytes += message.byteLength;
    if (this.#said.length === 1) queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    const said = this.#said;
    this.#said = [];
    this.#saidBytes = 0;
    if (said.length > 0) this.#reply.sendAll(said);
    this.#readOn();
  }

  /** Whoever does not read the answers, or asks more than is answered, is not read further. */
  #readOn(): void {
    const { watches } = this.#open ?? {};
    if (watches === undefined || this.#isOver) return;
    const isFull =
      watches.waitingCount >= frontWatchRequestsWaitingMax ||
      this.#saidBytes + this.#reply.unsentBytes() > this.#options.unsentBytesMax();
    if (isFull === this.#isPaused) return;
    this.#isPaused = isFull;
    if (isFull) this.#reply.pause();
    else this.#reply.resume();
  }

  #pass(): void {
    const call = this.#options.byJson();
    this.#byJson = call;
    for (const message of this.#waiting ?? []) call.receives(message);
    this.#waiting = null;
    this.#reply.resume();
    if (this.#hasEnded) call.halfClosed();
  }

  /** It is a fault of this code. It ends the call, and not this process. */
  #broke(error: unknown): void {
    console.error(error);
    this.#finish(grpc.internal, 'quorate: a fault of this server');
  }

  #finish(code: number, message: string): void {
    if (this.#isOver) return;
    this.#flush();
    this.#isOver = true;
    this.#close();
    this.#reply.finish({ code, message });
  }

  #close(): void {
    const open = this.#open;
    if (open === null) return;
    this.#open = null;
    open.known.store.streams--;
    open.watches.dispose();
  }
}

// The way to the Worker's runtime: connections on loopback that are kept for the next call. One call at a time goes on
// each. A call that is given up ends its connection by a reset: that alone tells the runtime at once.

import type { Socket } from 'node:net';
import { AnswerReader, headerOf, type AnswerHead } from './answer-reader.ts';
import { UpstreamSocket } from './upstream-socket.ts';

export type UpstreamAddress = {
  readonly host: string;
  readonly port: number;
};

export interface CallReceiver {
  continues(): void;
  answers(head: AnswerHead): void;
  receives(parts: readonly Buffer[], isWhole: boolean): void;
  /** The connection is the receiver's from now on. */
  upgrades(head: AnswerHead, socket: Socket, first: Buffer): void;
  /** More of the body may be written. */
  drained(): void;
  /** Nothing more comes: the connection ended, or what came is no answer. */
  failed(error: Error): void;
}

export class Upstream {
  readonly #address: UpstreamAddress;
  readonly #idleMs: number;
  /** The one that was used last is used next. */
  readonly #idle: UpstreamCall[] = [];

  /** `idleMs`: a connection that was not used for this long is not used again. */
  constructor(address: UpstreamAddress, idleMs: number) {
    this.#address = address;
    this.#idleMs = idleMs;
  }

  /** Begins a call. `head` is the whole head of the request. */
  call(method: string, head: string, receiver: CallReceiver): UpstreamCall {
    const call = this.#kept() ?? new UpstreamCall(this.#connect(), this.#idle);
    call.begin(method, head, receiver);
    return call;
  }

  close(): void {
    for (const call of this.#idle.splice(0)) call.abort();
  }

  #connect(): Socket {
    const { host, port } = this.#address;
    return new UpstreamSocket().setNoDelay(true).connect({ host, port });
  }

  /** Those that the runtime may be about to end are not used. */
  #kept(): UpstreamCall | null {
    for (let call = this.#idle.pop(); call !== undefined; call = this.#idle.pop()) {
      if (call.isFresh(this.#idleMs)) return call;
      call.abort();
    }
    return null;
  }
}

/** Methods whose body the Worker reads before it does what is asked. */
const readsBody: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);

/** A connection and the call that goes on it. */
export class UpstreamCall {
  readonly #socket: Socket;
  readonly #idle: UpstreamCall[];
  #receiver: CallReceiver | null = null;
  #reader: AnswerReader | null = null;
  #idleSinceMs = 0;
  /** The whole request was sent: else the connection cannot be used again. */
  #isSent = false;
  #hasBody = false;
  #method = '';
  /** The runtime ends the connection, or may be about to. */
  #isLast = false;

  constructor(socket: Socket, idle: UpstreamCall[]) {
    this.#socket = socket;
    this.#idle = idle;
    socket.on('data', this.#read);
    socket.on('drain', this.#drained);
    socket.on('end', this.#ended);
    socket.on('error', this.#failed);
    socket.on('close', this.#ended);
  }

  isFresh(idleMs: number): boolean {
    return !this.#socket.destroyed && performance.now() - this.#idleSinceMs < idleMs;
  }

  begin(method: string, head: string, receiver: CallReceiver): void {
    this.#receiver = receiver;
    this.#isSent = false;
    this.#hasBody = false;
    this.#method = method;
    this.#isLast = false;
    this.#reader = new AnswerReader(method, {
      continues: () => this.#receiver?.continues(),
      answers: (answer) => {
        this.#isLast = this.#endsAfter(answer);
        this.#receiver?.answers(answer);
      },
      receives: (parts, isWhole) => this.#receives(parts, isWhole),
      upgrades: (answer, first) => this.#upgrades(answer, first),
    });
    // A body that comes with the head leaves with it.
    this.#socket.cork();
    setImmediate(() => this.#socket.uncork());
    this.#socket.write(head, 'latin1');
  }

  /** False: no more of it until `drained`. */
  write(bytes: Buffer | string): boolean {
    this.#hasBody = true;
    return this.#socket.write(bytes, 'latin1');
  }

  /** The whole request was written. */
  sent(): void {
    this.#isSent = true;
    this.#socket.uncork();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** The receiver hears nothing more. */
  abort(): void {
    this.#receiver = null;
    this.#socket.removeAllListeners('data');
    this.#socket.resetAndDestroy();
  }

  #receives(parts: readonly Buffer[], isWhole: boolean): void {
    const receiver = this.#receiver;
    if (isWhole) {
      this.#receiver = null;
      if (this.#isSent && !this.#isLast && this.#reader?.hasExcess !== true) this.#keep();
      else this.abort();
    }
    receiver?.receives(parts, isWhole);
  }

  /**
   * The runtime says so, or it ends the connection a moment later, without a word: that is what it does where the
   * Worker has answered and not read the body. Its next call would be lost.
   */
  #endsAfter({ status, rawHeaders }: AnswerHead): boolean {
    if (headerOf(rawHeaders, 'connection')?.toLowerCase() === 'close') return true;
    // A stream may end before its body does.
    const isStream = headerOf(rawHeaders, 'content-length') === null;
    return this.#hasBody && (status >= 400 || isStream || !readsBody.has(this.#method));
  }

  #keep(): void {
    this.#socket.resume();
    this.#idleSinceMs = performance.now();
    this.#idle.push(this);
  }

  #upgrades(head: AnswerHead, first: Buffer): void {
    const receiver = this.#receiver;
    this.#receiver = null;
    this.#socket.off('data', this.#read);
    this.#socket.off('drain', this.#drained);
    this.#socket.off('end', this.#ended);
    this.#socket.off('close', this.#ended);
    this.#socket.pause();
    receiver?.upgrades(head, this.#socket, first);
  }

  readonly #read = (part: Buffer): void => {
    if (this.#receiver === null || this.#reader === null) {
      // The runtime has nothing to say where nothing was asked.
      this.#socket.destroy();
      return;
    }
    try {
      this.#reader.read(part);
    } catch (error) {
      this.#failed(error instanceof Error ? error : new Error(String(error)));
    }
  };

  readonly #drained = (): void => {
    this.#receiver?.drained();
  };

  readonly #ended = (): void => {
    // An answer may be whole by this.
    if (this.#receiver !== null) this.#reader?.end();
    this.#failed(new Error('the runtime ended the connection'));
  };

  readonly #failed = (error: Error): void => {
    const receiver = this.#receiver;
    this.#receiver = null;
    this.#socket.destroy();
    const place = this.#idle.indexOf(this);
    if (place >= 0) this.#idle.splice(place, 1);
    receiver?.failed(error);
  };
}

// The way to the Worker's runtime, or to a service elsewhere: connections that are kept for the next call. One call at
// a time goes on each. A call that is given up ends its connection by a reset: that alone tells the runtime at once.

import { isIP, type Socket } from 'node:net';
import { connect as connectTls, TLSSocket } from 'node:tls';
import { frontConnectMs, frontContinueMs, frontServiceKeepAliveMs } from '../limits.ts';
import { AnswerReader, headerOf, type AnswerHead } from './answer-reader.ts';
import { requestLines, type RequestSource } from './headers.ts';
import { UpstreamSocket } from './upstream-socket.ts';

export type UpstreamAddress = {
  readonly host: string;
  readonly port: number;
  /** Absent: the runtime of this server, on loopback. */
  readonly service?: Service;
};

/** A service that is reached over a network. */
export type Service = {
  /** What it is called by: the value of `Host`. */
  readonly authority: string;
  /** null: plain text. `ca`: who signs its certificate, as PEM; null: the authorities that Node knows. */
  readonly tls: { readonly ca: string | null } | null;
  /** Told why a connection could not be made, or ended before a call was answered on it. */
  readonly failed: (fault: Error) => void;
};

export interface CallReceiver {
  continues(): void;
  answers(head: AnswerHead): void;
  receives(parts: readonly Buffer[], isWhole: boolean): void;
  /** The connection is the receiver's from now on. */
  upgrades(head: AnswerHead, socket: Socket, first: Buffer): void;
  /** More of the body may be written. */
  drained(): void;
  /**
   * Nothing more comes: the connection ended, or what came is no answer. `mayBeBegun` false: there was no connection,
   * so nothing of the call has left.
   */
  failed(error: Error, mayBeBegun: boolean): void;
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
    const call = this.#kept() ?? this.#connect();
    call.begin(method, head, receiver);
    return call;
  }

  close(): void {
    for (const call of this.#idle.splice(0)) call.abort();
  }

  /** What a request says of itself; each line has its end. */
  lines(rawHeaders: readonly string[], from: Omit<RequestSource, 'authority'>): string {
    return requestLines(rawHeaders, { ...from, authority: this.#address.service?.authority ?? null });
  }

  /** The line of the host in a request that the front makes by itself. */
  get hostLine(): string {
    return `Host: ${this.#address.service?.authority ?? 'front'}\r\n`;
  }

  #connect(): UpstreamCall {
    const { host, port, service } = this.#address;
    if (service === undefined) {
      return new UpstreamCall(new UpstreamSocket().setNoDelay(true).connect({ host, port }), this.#idle, null);
    }
    const { tls } = service;
    const socket =
      tls === null ? new UpstreamSocket().connect({ host, port }) : connectSecurely({ host, port }, tls.ca);
    socket.setNoDelay(true).setKeepAlive(true, frontServiceKeepAliveMs);
    return new UpstreamCall(socket, this.#idle, service);
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

/** A name that is an address of the network is not said to the service (RFC 6066, section 3), but looked for. */
function connectSecurely(address: { readonly host: string; readonly port: number }, ca: string | null): TLSSocket {
  const servername = isIP(address.host) === 0 ? address.host : '';
  return connectTls({ ...address, servername, ALPNProtocols: ['http/1.1'], ...(ca === null ? {} : { ca }) });
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
  #isConnected = false;
  readonly #service: Service | null;
  /** Gives the connection up where there is none in time. */
  #connectTimer: NodeJS.Timeout | null = null;
  /** Sends a body for which the service does not ask. */
  #continueTimer: NodeJS.Timeout | null = null;

  constructor(socket: Socket, idle: UpstreamCall[], service: Service | null) {
    this.#socket = socket;
    this.#idle = idle;
    this.#service = service;
    socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', () => this.#connected());
    if (service !== null) {
      const words = `there was no connection within ${frontConnectMs / 1_000} s`;
      this.#connectTimer = setTimeout(() => socket.destroy(new Error(words)), frontConnectMs);
    }
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
      continues: () => this.#continues(),
      answers: (answer) => {
        this.#stopWaiting();
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
    // RFC 9110, section 10.1.1: whoever stands between may not know the expectation, so the wait has an end.
    if (this.#service !== null && /^expect:/im.test(head)) {
      this.#continueTimer = setTimeout(() => this.#continues(), frontContinueMs);
    }
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
    this.#stopWaiting();
    if (this.#connectTimer !== null) clearTimeout(this.#connectTimer);
    this.#socket.removeAllListeners('data');
    // What goes through TLS cannot be reset, and its end tells as much.
    if (this.#socket instanceof TLSSocket) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }

  #connected(): void {
    this.#isConnected = true;
    if (this.#connectTimer !== null) clearTimeout(this.#connectTimer);
  }

  #continues(): void {
    const isAwaited = this.#service === null || this.#continueTimer !== null;
    this.#stopWaiting();
    if (isAwaited) this.#receiver?.continues();
  }

  #stopWaiting(): void {
    if (this.#continueTimer !== null) clearTimeout(this.#continueTimer);
    this.#continueTimer = null;
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
    this.#stopWaiting();
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
    this.#stopWaiting();
    if (this.#connectTimer !== null) clearTimeout(this.#connectTimer);
    if (receiver !== null) this.#service?.failed(error);
    this.#socket.destroy();
    const place = this.#idle.indexOf(this);
    if (place >= 0) this.#idle.splice(place, 1);
    receiver?.failed(error, this.#isConnected);
  };
}

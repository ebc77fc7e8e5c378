// A WebSocket between a client and the Worker's runtime. Bytes go on as they come, and only the heads of frames are
// looked at. By these the front knows when both sides have closed, asks a silent client whether it lives, and may say
// goodbye.

import { STATUS_CODES, ServerResponse, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { AnswerHead } from './answer-reader.ts';
import type { FrontBounds } from './bounds.ts';
import type { Behind } from './client-connection.ts';
import { FrameHeads } from './frame-heads.ts';
import { answerHeaders, requestIdOf } from './headers.ts';
import { Progress } from './progress.ts';
import { closeFrame, pingFrame } from './server-frames.ts';
import type { Upstream, UpstreamCall } from './upstream.ts';

/** `first`: the bytes that came behind the request's head. */
export type UpgradeRequest = {
  readonly request: IncomingMessage;
  readonly client: Socket;
  readonly first: Buffer;
  /** Called with the status of the runtime's answer. */
  readonly answered?: (status: number) => void;
};

export class SocketRelay {
  readonly #request: IncomingMessage;
  readonly #requestId: string;
  readonly #client: Socket;
  readonly #bounds: FrontBounds;
  readonly #answered: (status: number) => void;
  readonly #fromClient = new FrameHeads();
  readonly #fromRuntime = new FrameHeads();
  /** The bytes that the client sent before it was answered. */
  #first: Buffer[];
  #firstBytes = 0;
  #call: UpstreamCall | null = null;
  #runtime: Socket | null = null;
  /** The progress of what the client sends, and of what it takes. */
  readonly #heard = new Progress();
  readonly #taken = new Progress();
  /** The time at which the client was last heard before it was asked whether it lives. Null: it was not asked. */
  #askedAfterMs: number | null = null;
  /** The time since which only the end is waited for. */
  #endingMs: number | null = null;

  constructor({ request, client, first, answered = () => undefined }: UpgradeRequest, { upstream, bounds }: Behind) {
    this.#request = request;
    this.#requestId = requestIdOf(request.rawHeaders);
    this.#client = client;
    this.#bounds = bounds;
    this.#answered = answered;
    this.#first = first.byteLength === 0 ? [] : [first];
    this.#firstBytes = first.byteLength;
    client.on('data', this.#keep);
    client.on('error', () => undefined);
    client.on('end', () => this.#halfClosed());
    client.on('close', () => this.end());
    void upstream.then((known) => this.#begin(known));
  }

  get unsentBytes(): number {
    return this.#client.writableLength;
  }

  get unsentMessages(): null {
    return null;
  }

  get unreadSinceMs(): number | null {
    return this.unsentBytes > 0 ? this.#taken.sinceMs : null;
  }

  /** Ends both connections at once. */
  end(): void {
    const call = this.#call;
    this.#call = null;
    call?.abort();
    this.#runtime?.destroy();
    this.#client.destroy();
  }

  /** The server ends. The client is told so between two frames, and has a moment to answer. */
  finish(nowMs: number): void {
    if (this.#runtime === null || !this.#fromRuntime.isBetween || this.#fromRuntime.isClosed) {
      this.end();
      return;
    }
    this.#runtime.destroy();
    const goodbye = closeFrame(1001, 'the server ends');
    this.#fromRuntime.pass(goodbye);
    this.#client.write(goodbye);
    this.#waitForEnd(nowMs);
  }

  /** Called once a second. */
  look(nowMs: number): void {
    const { socketClosingMs, answerReadMs, socketSilentMs } = this.#bounds;
    const owesReading = this.unsentBytes > 0;
    this.#taken.look(this.#client.bytesWritten - this.unsentBytes, owesReading, nowMs);
    // The handshake is bounded by the Worker's answer to it.
    this.#heard.look(this.#client.bytesRead, this.#runtime !== null, nowMs);
    const isLate =
      (this.#endingMs !== null && nowMs - this.#endingMs > socketClosingMs) ||
      (owesReading && nowMs - this.#taken.sinceMs > answerReadMs) ||
      nowMs - this.#heard.sinceMs > socketSilentMs;
    if (isLate) this.end();
    else this.#maybeAsk(nowMs);
  }

  /** The client is asked once in each silence. */
  #maybeAsk(nowMs: number): void {
    const { sinceMs } = this.#heard;
    const isSilent = nowMs - sinceMs > this.#bounds.socketPingMs && this.#askedAfterMs !== sinceMs;
    if (!isSilent || !this.#fromRuntime.isBetween || this.#fromRuntime.isClosed) return;
    this.#askedAfterMs = sinceMs;
    this.#client.write(pingFrame);
  }

  #begin(upstream: Upstream): void {
    if (this.#client.destroyed) return;
    const { method = '', url = '', rawHeaders } = this.#request;
    const lines = upstream.lines(rawHeaders, { address: this.#client.remoteAddress, requestId: this.#requestId });
    const head = `${method} ${url} HTTP/1.1\r\n${lines}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
    let response: ServerResponse | null = null;
    this.#call = upstream.call(method, head, {
      continues: () => undefined,
      answers: (answer) => {
        response = this.#refuse(answer);
      },
      receives: (parts, isWhole) => {
        for (const part of parts) response?.write(part);
        if (isWhole) response?.end();
        else if (this.#client.writableNeedDrain) this.#call?.pause();
      },
      upgrades: (answer, socket, first) => this.#open(answer, socket, first),
      drained: () => undefined,
      failed: () => this.end(),
    });
    this.#call.sent();
  }

  /** The answer to a request that was no socket after all. It is short, and the last of its connection. */
  #refuse({ status, reason, rawHeaders }: AnswerHead): ServerResponse {
    this.#answered(status);
    this.#client.off('data', this.#keep);
    this.#client.resume();
    const response = new ServerResponse(this.#request);
    response.shouldKeepAlive = false;
    response.assignSocket(this.#client);
    this.#client.on('drain', () => this.#call?.resume());
    response.on('finish', () => {
      this.#call = null;
      this.#endClient();
    });
    response.writeHead(status, reason, answerHeaders(rawHeaders, this.#requestId));
    return response;
  }

  #open(head: AnswerHead, runtime: Socket, first: Buffer): void {
    this.#call = null;
    this.#answered(head.status);
    this.#runtime = runtime;
    const headers = answerHeaders(head.rawHeaders, this.#requestId);
    let text = `HTTP/1.1 101 ${STATUS_CODES[101]}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`;
    for (let at = 0; at + 1 < headers.length; at += 2) text += `${headers[at]}: ${headers[at + 1]}\r\n`;
    this.#client.write(`${text}\r\n`, 'latin1');
    this.#client.off('data', this.#keep);
    this.#client.on('data', (part) => this.#toRuntime(part));
    this.#client.on('drain', () => runtime.resume());
    runtime.on('data', (part) => this.#toClient(part));
    runtime.on('drain', () => this.#client.resume());
    runtime.on('error', () => undefined);
    runtime.on('close', () => this.#runtimeEnded());
    if (first.byteLength > 0) this.#toClient(first);
    for (const part of this.#first.splice(0)) this.#toRuntime(part);
    this.#client.resume();
    runtime.resume();
  }

  /** Beyond the bound the client waits, as it would for a runtime that does not read. */
  readonly #keep = (part: Buffer): void => {
    this.#first.push(part);
    this.#firstBytes += part.byteLength;
    if (this.#firstBytes > this.#bounds.firstBytesMax) this.#client.pause();
  };

  #toRuntime(part: Buffer): void {
    if (this.#fromClient.isClosed) return;
    const counted = this.#fromClient.pass(part);
    const isTaken = this.#runtime?.write(part.subarray(0, counted)) ?? true;
    if (!isTaken && !this.#fromClient.isClosed) this.#client.pause();
    if (this.#fromClient.isClosed) this.#oneClosed();
  }

  #toClient(part: Buffer): void {
    if (this.#fromRuntime.isClosed) return;
    const counted = this.#fromRuntime.pass(part);
    if (!this.#client.write(part.subarray(0, counted))) this.#runtime?.pause();
    if (this.#fromRuntime.isClosed) this.#oneClosed();
  }

  /** RFC 6455, 7.1.1: once both have closed, the server ends the connection. */
  #oneClosed(): void {
    this.#waitForEnd(performance.now());
    if (!this.#fromClient.isClosed || !this.#fromRuntime.isClosed) return;
    this.#client.end();
    this.#runtime?.end();
  }

  #waitForEnd(nowMs: number): void {
    this.#endingMs ??= nowMs;
    this.#client.resume();
  }

  /** Without a close frame the client is gone. With one it may wait for the answer to it. */
  #halfClosed(): void {
    if (!this.#fromClient.isClosed || this.#fromRuntime.isClosed) this.end();
  }

  #runtimeEnded(): void {
    this.#runtime = null;
    if (this.#endingMs === null || !this.#fromRuntime.isClosed) this.#endClient();
  }

  /** A client that is still sending is given a moment to read what came: a reset would take it away. */
  #endClient(): void {
    this.#waitForEnd(performance.now());
    this.#client.end();
  }
}

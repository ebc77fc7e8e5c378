// Calls on a WebSocket: each message in a frame is the body of a POST to the path of the socket, and the body of the
// answer is the next frame to the client. The sockets hibernate; the attachment of a socket holds what an object that
// wakes must know of it.

import type { WholeRequest, FramesCall } from '../../api/contract.ts';
import { type CloseFrame, closeFrameOf, closeFrameOfStatus, closeSocket } from '../../api/close-frames.ts';
import { type Failure, failureResponse, streamErrorText } from '../../api/errors/errors.ts';
import { isEtcdCall } from '../../api/routes.ts';
import { callerText, parseCaller } from '../../api/caller-text.ts';
import { splitFrame } from '../../api/v3/message-splitter.ts';
import { emptyBytes, keyText, utf8 } from '../../base/bytes.ts';
import {
  frameSocketUnreadBytesMax,
  framesQueuedBytesMax,
  framesQueuedMax,
  dumpFramesBytesMax,
  frameSocketReadBytesPerSecond,
} from '../../limits.ts';
import type { Reservation } from '../../base/memory-budget.ts';
import type { Caller } from '../../model/store.ts';
import type { OpenCall, OpenCalls } from '../open-calls.ts';
import { hasTag } from '../socket-tags.ts';
import { UnreadBytes } from '../unread-bytes.ts';

/** The part of the object that is used here. */
export type FramesHost = Pick<DurableObjectState, 'acceptWebSocket' | 'getWebSockets'>;

/** The caller that opened a socket, and the path to which its frames are calls. */
export type FrameSource = {
  readonly path: string;
  readonly caller: Caller;
  readonly origin: string;
  readonly timeoutMs: number | null;
};

export type FramesOptions = {
  readonly host: FramesHost;
  readonly open: OpenCalls;
  /** Counts the memory of the isolate that a socket of this caller holds. */
  readonly memory: (caller: Caller) => Reservation;
  readonly nowMs: () => number;
  /** Serves one call, by this replica or by the leader. Never fails. */
  readonly serve: (request: WholeRequest, source: FrameSource, gone: AbortSignal) => Promise<Response>;
};

type Connection = {
  readonly source: FrameSource;
  /** The number of frames that wait, with the one that is being answered. */
  frames: number;
  bytes: number;
  /** Memory for frames that wait, and for answers that are taken to be unread. */
  readonly memory: Reservation;
  readonly unread: UnreadBytes;
  last: Promise<void>;
  answering: ReadableStreamDefaultReader<Uint8Array> | null;
  /** Ends a call that waits when its client goes away. */
  readonly gone: AbortController;
};

/** The tag of these sockets. The object holds other sockets, too. */
const frameSocketTag = 'frames';

export function isFrameSocket(host: Pick<DurableObjectState, 'getTags'>, socket: WebSocket): boolean {
  return hasTag(host, socket, frameSocketTag);
}

export class FrameSockets {
  readonly #options: FramesOptions;
  readonly #connections = new Map<WebSocket, Connection>();
  readonly #openCalls = new Map<WebSocket, OpenCall>();

  constructor(options: FramesOptions) {
    this.#options = options;
    // An earlier instance accepted these sockets.
    for (const socket of options.host.getWebSockets(frameSocketTag)) {
      const source = sourceOf(socket.deserializeAttachment());
      if (source !== null) this.#add(socket, source.caller);
    }
  }

  open(call: FramesCall, caller: Caller, origin: string): Response {
    const { host, open } = this.#options;
    const refusal = open.refusal('callSocket', caller);
    if (refusal !== null) return failureResponse('v3', refusal);
    const { 0: client, 1: server } = new WebSocketPair();
    const source: FrameSource = { path: call.path, caller, origin, timeoutMs: call.timeoutMs };
    host.acceptWebSocket(server, [frameSocketTag]);
    server.serializeAttachment(attachmentOf(source));
    this.#add(server, caller);
    const headers = new Headers();
    if (call.accepted !== null) headers.set('sec-websocket-protocol', call.accepted);
    return new Response(null, { status: 101, webSocket: client, headers });
  }

  /** Resolves when the frame was answered. */
  message(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const connection = this.#connection(socket);
    if (connection === null) {
      closeSocket(socket, { kind: 'restarted' });
      return Promise.resolve();
    }
    const body = typeof message === 'string' ? utf8(message) : new Uint8Array(message);
    const isFull = connection.frames >= framesQueuedMax || connection.bytes + body.byteLength > framesQueuedBytesMax;
    connection.frames++;
    connection.bytes += body.byteLength;
    const full: Failure | null = isFull ? { kind: 'overloaded' } : this.#memoryFailure(connection);
    if (full !== null) {
      this.#end(socket, full);
      return Promise.resolve();
    }
    connection.last = this.#answerAfter(connection.last, socket, connection, body);
    return connection.last;
  }

  /**
   * Nearly every frame is one message. The frames of a stream of keepalives are cut into messages where they are
   * served.
   */
  async #answerEach(socket: WebSocket, connection: Connection, frame: Uint8Array): Promise<void> {
    const several = isKeepAlive(connection.source) || !mayHoldSeveral(frame) ? null : splitFrame(frame);
    if (several === null) return this.#answer(socket, connection, frame);
    for (const message of several.messages) await this.#answer(socket, connection, message);
    if (several.fault === null) return;
    send(socket, await failureResponse('v3', { kind: 'badRequest', detail: several.fault }).text());
  }

  /** The object may be put to sleep, and then forgets the memory that its sockets hold. */
  resting(): void {
    for (const { memory, frames } of this.#connections.values()) if (frames === 0) memory.release();
  }

  closed(socket: WebSocket): void {
    this.#forget(socket);
  }

  /** The replica no longer serves: all sockets are closed. */
  end(failure: Failure): void {
    for (const socket of this.#options.host.getWebSockets(frameSocketTag)) this.#end(socket, failure);
  }

  #end(socket: WebSocket, failure: Failure): void {
    this.#close(socket, closeFrameOf(failure));
  }

  /** Messages may still come on a socket until its client has closed it, too. They are ignored. */
  #close(socket: WebSocket, { code, reason }: CloseFrame): void {
    socket.serializeAttachment(null);
    socket.close(code, reason);
    this.#forget(socket);
  }

  #add(socket: WebSocket, caller: Caller): void {
    const end = (failure: Failure): void => this.#end(socket, failure);
    const openCall: OpenCall = { kind: 'callSocket', caller, end, probe: null };
    this.#openCalls.set(socket, openCall);
    this.#options.open.add(openCall);
  }

  #connection(socket: WebSocket): Connection | null {
    const known = this.#connections.get(socket);
    if (known !== undefined) return known;
    const source = sourceOf(socket.deserializeAttachment());
    if (source === null) return null;
    const connection: Connection = {
      source,
      frames: 0,
      bytes: 0,
      memory: this.#options.memory(source.caller),
      unread: new UnreadBytes({ bytesMax: frameSocketUnreadBytesMax, bytesPerSecond: frameSocketReadBytesPerSecond }),
      last: Promise.resolve(),
      answering: null,
      gone: new AbortController(),
    };
    this.#connections.set(socket, connection);
    return connection;
  }

  #forget(socket: WebSocket): void {
    const openCall = this.#openCalls.get(socket);
    this.#openCalls.delete(socket);
    if (openCall !== undefined) this.#options.open.delete(openCall);
    const connection = this.#connections.get(socket);
    this.#connections.delete(socket);
    connection?.gone.abort();
    connection?.memory.release();
    // An answer that goes on, as that of observe does, ends when its reader goes away.
    connection?.answering?.cancel().catch(() => undefined);
  }

  async #answerAfter(
    before: Promise<void>,
    socket: WebSocket,
    connection: Connection,
    body: Uint8Array,
  ): Promise<void> {
    await before;
    await this.#answerEach(socket, connection, body);
    connection.frames--;
    connection.bytes -= body.byteLength;
    if (this.#connections.get(socket) === connection) this.#memoryFailure(connection);
  }

  /** null: the memory for frames that wait, and for unread answers, was granted. */
  #memoryFailure({ memory, bytes, unread }: Connection): Failure | null {
    const nowMs = this.#options.nowMs();
    const lacking = unread.isOver(nowMs) ? 'key' : memory.hold(bytes + unread.at(nowMs));
    return lacking === null ? null : { kind: 'memoryFull', of: lacking };
  }

  /** A socket does not say how far its client is behind, so the memory of this object is at stake. */
  #send(socket: WebSocket, connection: Connection, line: string): void {
    if (this.#connections.get(socket) !== connection) return;
    connection.unread.sent(line.length, this.#options.nowMs());
    send(socket, line);
    const failure = this.#memoryFailure(connection);
    if (failure !== null) this.#end(socket, failure);
  }

  async #answer(socket: WebSocket, connection: Connection, body: Uint8Array): Promise<void> {
    const { source } = connection;
    if (!this.#connections.has(socket)) return;
    const request = { method: 'POST', path: source.path, query: '', headers: new Headers(), body };
    const response = await this.#options.serve(request, source, connection.gone.signal);
    const lines = new Lines((line) => this.#send(socket, connection, line));
    if (response.body === null) return lines.end();
    const reader: ReadableStreamDefaultReader<Uint8Array> = response.body.getReader();
    connection.answering = reader;
    const bytesMax = isEtcdCall(source.path, 'maintenance/snapshot') ? dumpFramesBytesMax : Number.POSITIVE_INFINITY;
    try {
      for (let bytes = 0; bytes <= bytesMax;) {
        const { done, value } = await reader.read();
        if (done) {
          lines.end();
          // A stream of etcd ends with the first message that fails. On other sockets each frame is a call by itself.
          if (response.status === 200 || !isKeepAlive(source)) return;
          return this.#close(socket, closeFrameOfStatus(response.status, 'A message failed: its answer says why.'));
        }
        bytes += value.byteLength;
        lines.push(value);
      }
      // A socket does not say how far its client is behind, so the memory of this object is at stake.
      send(socket, streamErrorText({ kind: 'notServed', what: 'A snapshot this large on a WebSocket' }));
      await reader.cancel();
    } catch {
      send(socket, streamErrorText({ kind: 'internal' }));
    } finally {
      connection.answering = null;
    }
  }
}

function isKeepAlive({ path }: FrameSource): boolean {
  return isEtcdCall(path, 'lease/keepalive');
}

/** False: the frame holds one message at most. True: it may hold several, or a string of JSON that looks so. */
function mayHoldSeveral(frame: Uint8Array): boolean {
  return /\}\s*\{/.test(keyText(frame));
}

/** Cuts a body into its lines. No line feed ends the last line. */
class Lines {
  readonly #take: (line: string) => void;
  readonly #decoder = new TextDecoder();
  #pending: string[] = [];

  constructor(take: (line: string) => void) {
    this.#take = take;
  }

  push(bytes: Uint8Array): void {
    const lines = this.#decoder.decode(bytes, { stream: true }).split('\n');
    const rest = lines.pop() ?? '';
    for (const line of lines) this.#tell(line);
    this.#pending.push(rest);
  }

  end(): void {
    this.#tell(this.#decoder.decode(emptyBytes));
  }

  /** White space before a message is a sign of life in a stream (`BodyChannel`), and no part of the message. */
  #tell(end: string): void {
    const line = (this.#pending.join('') + end).trimStart();
    this.#pending = [];
    if (line !== '') this.#take(line);
  }
}

function send(socket: WebSocket, text: string): void {
  try {
    socket.send(text);
  } catch {
    // The client has gone. The platform tells of that by an event of its own.
  }
}

function attachmentOf({ path, caller, origin, timeoutMs }: FrameSource): readonly string[] {
  return [path, callerText(caller), origin, String(timeoutMs ?? '')];
}

/** null: the attachment does not have this form. */
function sourceOf(attachment: unknown): FrameSource | null {
  if (!Array.isArray(attachment)) return null;
  const [path, text, origin, timeout]: unknown[] = attachment;
  const caller = typeof text === 'string' ? parseCaller(text) : null;
  if (typeof path !== 'string' || typeof origin !== 'string' || caller === null) return null;
  return { path, caller, origin, timeoutMs: timeout === '' ? null : Number(timeout) };
}

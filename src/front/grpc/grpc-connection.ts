// A client's connection over HTTP/2: its streams are calls of gRPC. Here they are told apart, and refused where they
// are no such calls. The connection counts, and ends, as those over HTTP/1.1 do.

import { constants, type IncomingHttpHeaders, performServerHandshake } from 'node:http2';
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { grpc } from '../../api/errors/wire-error.ts';
import { requestIdHeader } from '../../api/request-id.ts';
import { credentialHeaders, parseTimeout } from '../../api/grpc/metadata.ts';
import { type GrpcMethod, grpcMethod } from '../../api/grpc/methods.ts';
import { nativeParser } from '../../api/grpc/native-calls.ts';
import { rangePath, rangeStreamPath } from '../../api/grpc/range-stream.ts';
import { watchPath } from '../../api/grpc/watch-messages.ts';
import { endpointOf, etcdPath } from '../../api/routes.ts';
import { assert } from '../../base/assert.ts';
import { grpcHeadPairsMax, grpcStreamsOfConnectionMax } from '../../limits.ts';
import type { Behind } from '../client-connection.ts';
import { requestIdIn } from '../headers.ts';
import type { BoundPort } from '../port.ts';
import { Progress } from '../progress.ts';
import { ListedHeaders } from '../request-headers.ts';
import type { Serving } from '../serving.ts';
import type { GrpcCall, GrpcReply } from './grpc-call.ts';
import { GrpcStream } from './grpc-stream.ts';
import type { HeldBytes } from './held-bytes.ts';
import { JsonCall } from './json-call.ts';
import { OwnCall } from './own-call.ts';
import { RangeStreamCall } from './range-stream-call.ts';
import { PingStrikes } from './ping-strikes.ts';
import { StoreCall } from './store-call.ts';
import { WatchCall } from './watch-call.ts';

const {
  HTTP2_HEADER_METHOD,
  HTTP2_HEADER_PATH,
  HTTP2_HEADER_AUTHORITY,
  HTTP2_HEADER_STATUS,
  NGHTTP2_ENHANCE_YOUR_CALM,
} = constants;

const keepAliveMs = 60_000;

export type GrpcBehind = Behind & {
  readonly held: HeldBytes;
  readonly port: BoundPort;
  readonly serving: Serving;
};

type Calling = { readonly metadata: ListedHeaders; readonly authority: string; readonly requestId: string };

const serverStopped = { code: grpc.unavailable, message: 'etcdserver: server stopped' };

export class GrpcConnection {
  readonly #socket: Socket;
  readonly #session: ServerHttp2Session;
  readonly #behind: GrpcBehind;
  readonly #streams = new Set<GrpcStream>();
  readonly #taken = new Progress();
  readonly #pings = new PingStrikes();

  constructor(socket: Socket, behind: GrpcBehind) {
    this.#socket = socket;
    this.#behind = behind;
    socket.on('error', () => undefined);
    // A client that sends its FIN has gone: HTTP/2 knows no half of a connection.
    socket.allowHalfOpen = false;
    // The system notices dead machines while nothing is sent.
    socket.setKeepAlive(true, keepAliveMs);
    this.#session = performServerHandshake(socket, {
      settings: { maxConcurrentStreams: grpcStreamsOfConnectionMax },
      maxHeaderListPairs: grpcHeadPairsMax,
    });
    // A client that breaks the protocol, or goes, ends its own connection and nothing else.
    this.#session.on('error', () => socket.destroy());
    this.#session.on('ping', () => this.#pinged());
    this.#session.on('stream', (stream, headers, _flags, rawHeaders) => this.#serve(stream, headers, rawHeaders));
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  /** What waits in the streams counts as well: each client says for each stream how much it takes. */
  get unsentBytes(): number {
    let bytes = this.#socketBytes;
    for (const stream of this.#streams) bytes += stream.unsentBytes();
    return bytes;
  }

  get #socketBytes(): number {
    return this.#socket.destroyed ? 0 : this.#socket.writableLength;
  }

  /** What waits is shared with no other client. */
  get unsentMessages(): null {
    return null;
  }

  /** The time since which the client has taken nothing of what waits for it. Null: nothing waits. */
  get unreadSinceMs(): number | null {
    let sinceMs = this.#socketBytes > 0 ? this.#taken.sinceMs : null;
    for (const { unreadSinceMs } of this.#streams) {
      if (unreadSinceMs !== null) sinceMs = Math.min(sinceMs ?? unreadSinceMs, unreadSinceMs);
    }
    return sinceMs;
  }

  look(nowMs: number): void {
    const unsentBytes = this.#socketBytes;
    this.#taken.look(this.#socket.bytesWritten - unsentBytes, unsentBytes > 0, nowMs);
    const { answerReadMs } = this.#behind.bounds;
    if (unsentBytes > 0 && nowMs - this.#taken.sinceMs > answerReadMs) this.end();
    else for (const stream of this.#streams) stream.look(nowMs, answerReadMs);
  }

  /** No further call is taken, which GOAWAY says. Streams that go on end, and other calls are still answered. */
  finish(): void {
    for (const stream of this.#streams) if (stream.isStream) stream.end(serverStopped);
    this.#session.close();
  }

  end(): void {
    this.#session.destroy();
    this.#socket.destroy();
  }

  #pinged(): void {
    if (this.#pings.ping(performance.now(), this.#streams.size > 0)) return;
    this.#session.goaway(NGHTTP2_ENHANCE_YOUR_CALM, 0, Buffer.from('too_many_pings'));
    setImmediate(() => this.end());
  }

  #serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, rawHeaders: readonly string[]): void {
    const metadata = new ListedHeaders(rawHeaders);
    const requestId = requestIdIn(metadata);
    if (headers[HTTP2_HEADER_METHOD] !== 'POST') return refuse(stream, 405, requestId);
    const contentType = headers['content-type'] ?? '';
    if (!/^application\/grpc(?:[+;]|$)/.test(contentType)) return refuse(stream, 415, requestId);
    const served = new GrpcStream(stream, { requestId, held: this.#behind.held, sent: () => this.#pings.sent() });
    this.#streams.add(served);
    stream.once('close', () => this.#streams.delete(served));
    const path = metadata.get(HTTP2_HEADER_PATH) ?? '';
    const method = grpcMethod(path);
    const encoding = headers['grpc-encoding'] ?? 'identity';
    if (encoding !== 'identity') {
      const message = `grpc: Decompressor is not installed for grpc-encoding "${String(encoding)}"`;
      served.finish({ code: grpc.unimplemented, message });
    } else if (method.kind === 'refused') {
      served.finish(method.status);
    } else if (!metadata.isPlain) {
      served.finish({ code: grpc.invalidArgument, message: 'quorate: metadata is visible ASCII' });
    } else {
      const authority = metadata.get(HTTP2_HEADER_AUTHORITY) ?? '';
      served.serve(parseTimeout(metadata.get('grpc-timeout')), (reply) =>
        this.#call(reply, method, { metadata, authority, requestId }),
      );
    }
  }

  #call(reply: GrpcReply, method: Exclude<GrpcMethod, { readonly kind: 'refused' }>, caller: Calling): GrpcCall {
    if (method.kind === 'own') return new OwnCall(reply, method.method, this.#behind.serving);
    if (method.path === rangeStreamPath) {
      return new RangeStreamCall(reply, (part) => this.#call(part, rangeMethod, caller));
    }
    const { metadata, authority, requestId } = caller;
    const { upstream, callers, port } = this.#behind;
    const { key, scheme, clientUrl } = port;
    const credentials = credentialHeaders(metadata, key);
    const host = plainAuthority.test(authority) ? authority : 'front';
    const headers = new ListedHeaders(credentials);
    const path = etcdPath(method.call);
    const byJson = (): GrpcCall =>
      new JsonCall(reply, {
        method: method.method,
        path,
        lines: (to) => to.lines(['Host', host, ...credentials], { address: this.#socket.remoteAddress, requestId }),
        clientUrl: clientUrl ?? `${scheme}://${host}`,
        upstream,
        answered: (status) => callers()?.answered(headers, status),
      });
    const known = () => {
      const known = callers();
      const found = known?.find(headers) ?? null;
      return known === null || found === null ? null : { known: found, callers: known };
    };
    if (method.path === watchPath) {
      const learn = (then: () => void): void => this.#learn(then, caller);
      const unsentBytesMax = this.#behind.watchUnsentBytesMax;
      return new WatchCall(reply, { known, learn, unsentBytesMax, byJson });
    }
    const parse = nativeParser(method.path);
    if (parse === null) return byJson();
    const isStream = method.method.methodKind !== 'unary';
    const { servedBy } = endpointOf({ method: 'POST', path, headers });
    return new StoreCall(reply, { parse, isStream, servedBy, known, byJson });
  }

  /** Makes a small call in the name of a caller, whose answer tells whether the gateway takes its credentials. */
  #learn(then: () => void, caller: Calling): void {
    const reply: GrpcReply = {
      send: () => true,
      sendAll: () => true,
      unsentBytes: () => 0,
      finish: then,
      untilRead: nothing,
      pause: nothing,
      resume: nothing,
    };
    const call = this.#call(reply, authStatusMethod, caller);
    call.receives(new Uint8Array());
    call.halfClosed();
  }
}

function nothing(): void {}

/** What a stream of a range asks. */
const rangeMethod = servedMethod(rangePath);
/** What anybody may ask whose credentials are good. */
const authStatusMethod = servedMethod('/etcdserverpb.Auth/AuthStatus');

function servedMethod(path: string): Exclude<GrpcMethod, { readonly kind: 'refused' }> {
  const method = grpcMethod(path);
  assert(method.kind !== 'refused', `${path} is served`);
  return method;
}

const plainAuthority = /^(?:[\w\-.]+|\[[\da-fA-F:.]+\])(?::\d{1,5})?$/;

/** What is no call of gRPC is answered in HTTP. */
function refuse(stream: ServerHttp2Stream, status: number, requestId: string): void {
  stream.on('error', () => undefined);
  stream.respond({ [HTTP2_HEADER_STATUS]: status, [requestIdHeader]: requestId }, { endStream: true });
  stream.resume();
}

// The process in front of the Worker's runtime owns the public port, on which clients speak HTTP/1.1, or gRPC over
// HTTP/2 (`grpc/`): the first bytes of a connection say which. Plain calls on stores go to the replicas by session
// (`store-exchange.ts`), and all else is passed through. The front takes the port before there is a runtime, and
// answers once it knows one. What a client may do is for the Worker to say. The front sees to it that no client holds
// this process, or the runtime behind it, by being slow, silent or gone.

import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import { createServer as createListener, type AddressInfo, type Server as Listener, type Socket } from 'node:net';
import { assert } from '../base/assert.ts';
import { grpcHeldBytesMax } from '../limits.ts';
import { headerOf } from './answer-reader.ts';
import { frontBounds, type FrontBounds } from './bounds.ts';
import { type Behind, ClientConnection } from './client-connection.ts';
import { FirstBytes, type FirstProtocol } from './first-bytes.ts';
import { GrpcConnection } from './grpc/grpc-connection.ts';
import { HeldBytes } from './grpc/held-bytes.ts';
import { framingOf, newRequestId } from './headers.ts';
import { introduce } from './introduction.ts';
import { KnownCallers } from './known-callers.ts';
import { type BoundPort, boundPort, type ListenAddress, nameCaller, type PortOptions } from './port.ts';
import type { PortTls } from './port-tls.ts';
import { refusalOf, type ParserError } from './refusals.ts';
import { Serving } from './serving.ts';
import { SocketRelay, type UpgradeRequest } from './socket-relay.ts';
import { Upstream, type UpstreamAddress } from './upstream.ts';
import { plainSocket } from './watch/plain-watch.ts';
import { WatchSocket } from './watch/watch-socket.ts';

/** A part that holds bytes, and is looked at once a second. */
type Held = ClientConnection | ClientWebSocket | GrpcConnection;

type ClientWebSocket = SocketRelay | WatchSocket;

type ServeHttp1 = (socket: Socket) => void;

export class Front {
  readonly #server: Server;
  /** The port that clients connect to first. */
  #port: BoundPort = { key: null, scheme: 'http', clientUrl: null, tls: null };
  readonly #connections = new Map<Socket, ClientConnection>();
  /** Ports of tenants, by the connections over HTTP/1.1 to them. */
  readonly #ports = new WeakMap<Socket, BoundPort>();
  readonly #sockets = new Map<Socket, ClientWebSocket>();
  /** Connections that have not said which protocol they speak. */
  readonly #begun = new Map<Socket, FirstBytes>();
  /** Connections whose client has begun to speak TLS, and since when. */
  readonly #handshakes = new Map<Socket, number>();
  readonly #grpc = new Set<GrpcConnection>();
  /** Told by whoever knows whether the service is there. */
  readonly serving = new Serving();
  readonly #grpcHeld = new HeldBytes(grpcHeldBytesMax);
  /** The streams of all these connections, when they were last looked at. */
  #grpcStreams = 0;
  /** Ports beside the first one. */
  readonly #listeners: Listener[] = [];
  readonly #serveHttp1: ServeHttp1;
  readonly #bounds: FrontBounds;
  readonly #behind: Behind;
  #upstream: Upstream | null = null;
  #callers: KnownCallers | null = null;
  #setUpstream: (upstream: Upstream) => void = () => undefined;
  #isEnding = false;
  readonly #timer: NodeJS.Timeout;

  private constructor(bounds: FrontBounds) {
    this.#bounds = bounds;
    const upstream = new Promise<Upstream>((resolve) => {
      this.#setUpstream = resolve;
    });
    this.#behind = {
      upstream,
      bounds,
      callers: () => this.#callers,
      watchUnsentBytesMax: () =>
        bounds.watchUnsentBytesMax(this.#sockets.size + this.#connections.size + this.#grpcStreams),
    };
    this.#server = createServer(serverOptions(bounds));
    // Every header is handed on, however many there are: their bytes are bounded.
    this.#server.maxHeadersCount = 0;
    this.#server.maxConnections = bounds.connectionsMax;
    // A client that has closed its half may still read: `ClientConnection` tells which answers it gets.
    Object.assign(this.#server, { httpAllowHalfOpen: true });
    // What node:http does with a connection is done once the connection is known to be of HTTP/1.1.
    const [serveHttp1] = this.#server.listeners('connection');
    this.#serveHttp1 = (socket) => serveHttp1?.call(this.#server, socket);
    this.#server.removeAllListeners('connection');
    this.#server.on('connection', (socket: Socket) => this.#accept(socket, this.#port));
    const serve = (request: IncomingMessage, response: ServerResponse): void => this.#serve(request, response);
    this.#server.on('request', serve);
    // Whether a body is wanted, or another expectation can be met, is for the Worker to say.
    this.#server.on('checkContinue', serve);
    this.#server.on('checkExpectation', serve);
    this.#server.on('upgrade', (request: IncomingMessage, socket: Socket, first: Buffer) => {
      this.#upgrade(request, socket, first);
    });
    this.#server.on('connect', (_: IncomingMessage, socket: Socket) => this.#connectTo(socket));
    this.#server.on('clientError', (error: ParserError, socket: Socket) => this.#refuse(error, socket));
    this.#timer = setInterval(() => this.#look(performance.now()), bounds.lookMs);
    this.#timer.unref();
  }

  /** @throws if the address cannot be listened on, as node:net does. */
  static async listen(options: PortOptions, bounds: FrontBounds = frontBounds): Promise<Front> {
    const front = new Front(bounds);
    await listening(front.#server, options).catch((error: unknown) => {
      clearInterval(front.#timer);
      throw error;
    });
    front.#port = boundPort(options, front.port);
    return front;
  }

  /** Listens on another port, too. The answer is the port. @throws as `listen`. */
  async listenAlso(options: PortOptions): Promise<number> {
    let port: BoundPort | null = null;
    const listener = createListener({ allowHalfOpen: true, noDelay: true }, (socket) => {
      if (port === null) socket.destroy();
      else this.#accept(socket, port);
    });
    await listening(listener, options);
    this.#listeners.push(listener);
    // A server that listens on TCP has an address of this shape.
    const { port: taken } = listener.address() as AddressInfo;
    port = boundPort(options, taken);
    return taken;
  }

  get port(): number {
    // A server that listens on TCP has an address of this shape.
    return (this.#server.address() as AddressInfo).port;
  }

  /** From now on requests are answered. */
  open(address: UpstreamAddress): void {
    this.#upstream = new Upstream(address, this.#bounds.upstreamIdleMs);
    this.#callers = new KnownCallers(this.#upstream, this.#bounds);
    this.#setUpstream(this.#upstream);
  }

  /**
   * Asks the service who calls by this key, so that the first call with it finds a session. The answer is the status of
   * the service's answer; null: there was none. It is called once the front is open.
   */
  introduce(key: string): Promise<number | null> {
    const [upstream, callers] = [this.#upstream, this.#callers];
    assert(upstream !== null && callers !== null, 'the front is open');
    return introduce(upstream, callers, key);
  }

  /**
   * No new calls are taken. Those under way have a moment to be answered, and sockets to say goodbye. Then all
   * connections end.
   */
  async close(): Promise<void> {
    this.#isEnding = true;
    clearInterval(this.#timer);
    const ended = [this.#server, ...this.#listeners].map(closed);
    for (const socket of [...this.#begun.keys(), ...this.#handshakes.keys()]) socket.destroy();
    for (const connection of this.#grpc) connection.finish();
    for (const connection of this.#connections.values()) connection.finish();
    for (const socket of this.#sockets.values()) socket.finish(performance.now());
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#bounds.endMs);
    });
    await Promise.race([Promise.all([...ended, this.#socketsEnded()]), late]);
    clearTimeout(timer);
    for (const each of this.#held()) each.end();
    this.#server.closeAllConnections();
    this.#callers?.close();
    this.#upstream?.close();
  }

  #socketsEnded(): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.#sockets.size === 0) resolve();
        else setTimeout(look, 10).unref();
      };
      look();
    });
  }

  *#held(): Iterable<Held> {
    yield* this.#connections.values();
    yield* this.#sockets.values();
    yield* this.#grpc;
  }

  #accept(socket: Socket, port: BoundPort): void {
    const others =
      this.#begun.size + this.#handshakes.size + this.#connections.size + this.#sockets.size + this.#grpc.size;
    if (this.#isEnding || others >= this.#bounds.connectionsMax) {
      socket.destroy();
      return;
    }
    const begun = new FirstBytes(socket, performance.now(), (protocol) => {
      this.#begun.delete(socket);
      this.#connect(socket, protocol, port);
    });
    this.#begun.set(socket, begun);
    socket.once('close', () => this.#begun.delete(socket));
  }

  #connect(socket: Socket, protocol: FirstProtocol, port: BoundPort): void {
    if (protocol === 'tls' && port.tls !== null) return this.#secure(socket, port, port.tls);
    if (protocol === 'tls') return this.#refuseAtOnce(socket, { code: 'NO_TLS' });
    if (port.tls !== null) return this.#refuseAtOnce(socket, { code: 'PLAIN_TEXT' });
    if (protocol === 'http2') {
      const connection = new GrpcConnection(socket, {
        ...this.#behind,
        held: this.#grpcHeld,
        port,
        serving: this.serving,
      });
      this.#grpc.add(connection);
      socket.once('close', () => this.#grpc.delete(connection));
      return;
    }
    this.#ports.set(socket, port);
    this.#connectByHttp1(socket);
  }

  #connectByHttp1(socket: Socket): void {
    this.#connections.set(socket, new ClientConnection(socket, this.#behind));
    socket.once('close', () => this.#connections.delete(socket));
    this.#serveHttp1(socket);
    socket.resume();
  }

  /** What comes out of TLS is a connection as any other. */
  #secure(socket: Socket, port: BoundPort, tls: PortTls): void {
    this.#handshakes.set(socket, performance.now());
    socket.on('error', () => undefined);
    socket.once('close', () => this.#handshakes.delete(socket));
    tls.serve(socket, (secure) => {
      this.#handshakes.delete(socket);
      this.#accept(secure, { ...port, tls: null });
    });
  }

  /** What came is not what the port speaks. Also a client of TLS, or of gRPC, tells its user that HTTP was answered. */
  #refuseAtOnce(socket: Socket, error: ParserError): void {
    this.#connectByHttp1(socket);
    this.#refuse(error, socket);
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const connection = this.#connections.get(request.socket);
    if (this.#isEnding) {
      request.socket.destroy();
      return;
    }
    const fault = faultOf(request);
    if (fault === null) {
      this.#nameCaller(request);
      connection?.serve(request, response);
      return;
    }
    request.resume();
    this.#refuse(fault, request.socket);
  }

  #nameCaller(request: IncomingMessage): void {
    const port = this.#ports.get(request.socket);
    if (port !== undefined) nameCaller(request, port);
  }

  #connectTo(socket: Socket): void {
    if (this.#isServing(socket)) socket.destroy();
    else this.#refuse({ code: 'CONNECT' }, socket);
  }

  #upgrade(request: IncomingMessage, socket: Socket, first: Buffer): void {
    // The frames of a socket must not mix with the answers to the calls before it.
    if (this.#isEnding || this.#isServing(socket)) {
      socket.destroy();
      return;
    }
    // Of the body nothing would reach the runtime, which would take the next call on its connection for it.
    if (hasBody(request)) return this.#refuse({ code: 'UPGRADE_BODY' }, socket);
    this.#nameCaller(request);
    this.#connections.delete(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    this.#serveSocket({ request, client: socket, first });
  }

  /** A plain watch of a caller whom the gateway knows ends here. All else is handed on. */
  #serveSocket({ request, client, first }: UpgradeRequest): void {
    const callers = this.#callers;
    const plain = callers === null ? null : plainSocket(request);
    const pass = (came: Buffer, answered?: (status: number) => void): void => {
      const upgrade = { request, client, first: came, ...(answered === undefined ? {} : { answered }) };
      this.#sockets.set(client, new SocketRelay(upgrade, this.#behind));
    };
    if (callers === null || plain === null) return pass(first);
    const known = callers.find(plain.headers);
    if (known === null) return pass(first, (status) => callers.answered(plain.headers, status));
    if (!callers.mayWatch(known)) return pass(first);
    const { store, caller } = known;
    const socket = new WatchSocket({
      client,
      first,
      plain,
      bounds: this.#bounds,
      open: (sink) => store.watches.open(caller, plain.watch, sink),
      unsentBytesMax: this.#behind.watchUnsentBytesMax,
      pass,
    });
    this.#sockets.set(client, socket);
  }

  /** node:http hands the connection over for good, so the calls under way cannot be answered any more. */
  #isServing(socket: Socket): boolean {
    return this.#connections.get(socket)?.isIdle !== true;
  }

  /** Refuses what cannot be read as a request, or is not served. */
  #refuse(error: ParserError, socket: Socket): void {
    // The connection ends with the answer to the request that said `Connection: close`. What follows is ignored.
    if (error.code === 'HPE_CLOSED_CONNECTION') return;
    const connection = this.#connections.get(socket);
    if (connection === undefined) socket.destroy();
    else connection.refuse(refusalOf(error, newRequestId()));
  }

  #look(nowMs: number): void {
    this.#callers?.look(nowMs);
    for (const [socket, { sinceMs }] of this.#begun) {
      if (nowMs - sinceMs > this.#bounds.headReadMs) this.#refuseBegun(socket);
    }
    this.#grpcStreams = 0;
    for (const { streamCount } of this.#grpc) this.#grpcStreams += streamCount;
    for (const [socket, sinceMs] of this.#handshakes) {
      if (nowMs - sinceMs > this.#bounds.headReadMs) socket.destroy();
    }
    let unsentBytes = 0;
    const shared = new Set<Buffer>();
    for (const each of this.#held()) {
      each.look(nowMs);
      const messages = each.unsentMessages;
      if (messages === null) unsentBytes += each.unsentBytes;
      else for (const message of messages) shared.add(message);
    }
    for (const { byteLength } of shared) unsentBytes += byteLength;
    if (unsentBytes > this.#bounds.unsentBytesMax) this.#endSlowest(unsentBytes);
  }

  /** The client has said nothing, or too little. */
  #refuseBegun(socket: Socket): void {
    this.#begun.get(socket)?.leave();
    this.#begun.delete(socket);
    this.#refuseAtOnce(socket, { code: 'ERR_HTTP_REQUEST_TIMEOUT' });
  }

  /** The connections that have not read for the longest end first. */
  #endSlowest(unsentBytes: number): void {
    const slow = [...this.#held()].flatMap((each) => {
      const sinceMs = each.unreadSinceMs;
      return sinceMs === null ? [] : [{ each, sinceMs }];
    });
    let left = unsentBytes;
    for (const { each } of slow.toSorted((first, second) => first.sinceMs - second.sinceMs)) {
      if (left <= this.#bounds.unsentBytesMax) return;
      left -= each.unsentBytes;
      each.end();
    }
  }
}

function listening(server: Listener, address: ListenAddress): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...address, backlog: 1_024 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function closed(server: Listener): Promise<void> {
  return new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
}

/** What node:http takes for a request, and is none of those that are served. */
function faultOf({ httpVersionMajor, httpVersionMinor, rawHeaders }: IncomingMessage): ParserError | null {
  if (httpVersionMajor > 1) return { code: 'VERSION' };
  // RFC 9112, section 6.1: HTTP/1.0 has no chunks, so where the body ends is not certain.
  const hasChunks = framingOf(rawHeaders) === 'chunked';
  return httpVersionMajor < 1 || (httpVersionMinor === 0 && hasChunks) ? {} : null;
}

function hasBody({ rawHeaders }: IncomingMessage): boolean {
  return framingOf(rawHeaders) === 'chunked' || Number(headerOf(rawHeaders, 'content-length') ?? 0) > 0;
}

/** `shouldUpgradeCallback` is younger than the types: an upgrade to anything but a WebSocket is a plain request. */
type WholeServerOptions = ServerOptions & { shouldUpgradeCallback: (request: IncomingMessage) => boolean };

function serverOptions(bounds: FrontBounds): WholeServerOptions {
  return {
    keepAliveTimeout: bounds.idleMs,
    headersTimeout: bounds.headReadMs,
    // A body may go on for as long as its client speaks: `ClientConnection` looks at that.
    requestTimeout: 0,
    connectionsCheckingInterval: bounds.lookMs,
    maxHeaderSize: bounds.headBytesMax,
    // A request without a Host is refused by the Worker, in its words.
    requireHostHeader: false,
    noDelay: true,
    shouldUpgradeCallback: ({ method, headers }) => method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket',
  };
}

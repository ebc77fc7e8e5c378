// All watch connections of one replica: opens them, hands them what the hub and the platform say, saves their state
// before the object sleeps and takes it up again when it wakes. It decides nothing about events: that is the hub's.

import type { ResponseHeader, WatchCall } from '../../api/contract.ts';
import { closeSocket } from '../../api/close-frames.ts';
import { type Failure, failureResponse } from '../../api/errors/errors.ts';
import { blankSpace } from '../../api/blanks.ts';
import { blankOf, watchContentTypes } from '../../api/v1/watch.ts';
import { splitFrame } from '../../api/v3/message-splitter.ts';
import type { Revision } from '../../model/brands.ts';
import { utf8 } from '../../base/bytes.ts';
import {
  postedMessageWaitMs,
  streamProbeMs,
  watchAuthorizeMs,
  watchBodyDrainMs,
  watchersMax,
  watchRoomMs,
} from '../../limits.ts';
import type { Reservation } from '../../base/memory-budget.ts';
import type { Caller, KeyRange, RevisionEvents } from '../../model/store.ts';
import { isEmptyRange } from '../../model/key-range.ts';
import { type WatchHistory, WatchHub, type WatchLimits } from '../../mvcc/watch/watch-hub.ts';
import type { SqlPort } from '../../base/sql-port.ts';
import type { OpenCall, OpenCalls } from '../open-calls.ts';
import { decodeAttachment } from './watch-attachment.ts';
import { BodyChannel, bodyBacklogBytesMax, type BodyOptions } from './watch-body.ts';
import type { SavedStream, WatchStreamContext } from './watch-channel.ts';
import { type Posted, PostedMessages } from './watch-posted.ts';
import { type StreamRows, WatchRows } from './watch-rows.ts';
import { type HibernatingSocket, SocketChannel, type SocketOptions, type WatchSockets } from './watch-socket.ts';
import { V1WatchStream } from './watch-v1-stream.ts';
import { V3WatchStream } from './watch-v3-stream.ts';

export type WatchServiceOptions = {
  readonly sockets: WatchSockets;
  readonly limits: WatchLimits;
  readonly history: WatchHistory;
  /** The database of the object, for watches of a stream that do not fit into the attachment of its socket. */
  readonly sql: SqlPort;
  readonly open: OpenCalls;
  /** Counts the memory of the isolate that a stream of this caller holds. */
  readonly memory: (caller: Caller) => Reservation;
  readonly header: (revision: Revision) => ResponseHeader;
  /** Why this caller may not read this range now. Null: it may. */
  readonly authorize: (caller: Caller, range: KeyRange) => Failure | null;
  /** Whether an open watch may go on, as its access key says, whatever the roles of its user have become. */
  readonly mayGoOn: (caller: Caller, range: KeyRange) => Failure | null;
  /** See `BodyOptions`. */
  readonly durable: BodyOptions['durable'];
  readonly nowMs: () => number;
  /**
   * Runs a task in a later turn, like the object's own turns: a throw resets the object. The returned function calls it
   * off.
   */
  readonly later: (task: () => void, delayMs: number) => () => void;
};

type Stream = V1WatchStream | V3WatchStream;
type SocketConnection = { readonly stream: Stream; readonly channel: SocketChannel; readonly openCall: OpenCall };
type BodyConnection = { readonly stream: Stream; readonly channel: BodyChannel };

/** The clock of a replica ticks more often than the work here needs. */
const tickSpacingMs = 1_000;
/** The clock of streaming answers, which keep the object awake when its replica rests. */
const bodyTickMs = 5_000;

export class WatchService {
  readonly #options: WatchServiceOptions;
  readonly hub: WatchHub;
  /** Called when watchers that were behind may have caught up. */
  caughtUp: () => void = () => undefined;
  readonly #rows: WatchRows;
  readonly #sockets = new Map<HibernatingSocket, SocketConnection>();
  readonly #bodies = new Set<BodyConnection>();
  /** The bodies that have ended and are still being read, and until when they may be. */
  readonly #draining = new Map<BodyChannel, number>();
  #pumping = false;
  #ticking = false;
  /** True: the replica's clock stands still, and nothing else will save a change before the object sleeps. */
  #resting = true;
  /** Invariant: an attachment that is not stale continues after this revision or a later one. */
  #flushedRevision: Revision | null = null;
  #tickedMs = 0;
  #authorizedMs = 0;
  #probedMs = 0;

  constructor(options: WatchServiceOptions) {
    this.#options = options;
    this.hub = new WatchHub(options.history, options.limits);
    this.#rows = new WatchRows(options.sql);
    const restored = options.sockets.open().map((socket) => this.#restore(socket));
    this.#rows.sweep(new Set(restored));
    this.pump();
  }

  get watcherCount(): number {
    return this.hub.watcherCount;
  }

  // What clients do

  /** Opens a watch for a caller whose access key is valid. */
  open(call: WatchCall, request: Request, caller: Caller): Response | Promise<Response> {
    const kind = call.transport === 'websocket' ? 'watchSocket' : 'watchStream';
    if (this.#options.open.refusal(kind, caller) === null) return this.#open(call, request, caller);
    return this.#options.open
      .refusalAfterProbe(kind, caller)
      .then((full) => (full === null ? this.#open(call, request, caller) : failureResponse(call.protocol, full)));
  }

  #open(call: WatchCall, request: Request, caller: Caller): Response | Promise<Response> {
    if (this.hub.watcherCount >= watchersMax) return failureResponse(call.protocol, { kind: 'overloaded' });
    const max = this.hub.fullAt;
    if (max !== null) {
      return failureResponse(call.protocol, { kind: 'tooManyOpen', what: 'sessionWatch', of: 'tenant', max });
    }
    if (call.protocol === 'v1') return this.#openV1(call, caller);
    return call.transport === 'websocket' ? this.#openV3Socket(call, caller) : this.#openV3Body(call, request, caller);
  }

  webSocketMessage(socket: HibernatingSocket, message: string | ArrayBuffer): void {
    this.#options.open.expire();
    const connection = this.#sockets.get(socket);
    if (connection === undefined) return;
    const { stream, channel } = connection;
    channel.heard();
    const frame = typeof message === 'string' ? utf8(message) : new Uint8Array(message);
    const failure = stream instanceof V3WatchStream ? takeFrame(stream, frame) : stream.message(frame);
    if (failure !== null) stream.end({ reason: 'badMessage', failure });
    if (this.#resting && connection.channel.stale) connection.channel.save();
    this.pump();
  }

  /** The socket was closed, or failed. */
  webSocketClose(socket: HibernatingSocket): void {
    this.#sockets.get(socket)?.stream.dispose();
    this.#forget(socket);
  }

  // What the replica does

  /**
   * The events that were just applied, in order; null: history tells them. `revision` is that of the store after them.
   */
  published(events: readonly RevisionEvents[] | null, revision: Revision): void {
    this.#resting = false;
    // No event leaves after its access key has expired.
    this.#options.open.expire();
    this.hub.publish(events ?? [], revision);
    this.pump();
  }

  /** A compaction was applied. Watches that still need compacted revisions are told. */
  compacted(): void {
    this.hub.compacted(this.#options.history.compactedRevision);
    if (this.#resting) this.#saveStale();
  }

  /** Ends the watches whose access keys may no longer read what they watch. */
  expire(nowMs: number): void {
    this.#authorizedMs = nowMs;
    for (const connection of this.#connections()) {
      const failure = connection.stream.lost();
      if (failure !== null) connection.stream.end({ reason: 'accessEnded', failure });
    }
  }

  /** Called by the replica's clock, and by this service's own while answers stream. */
  tick(nowMs: number): void {
    if (nowMs - this.#tickedMs < tickSpacingMs) return;
    this.#tickedMs = nowMs;
    if (nowMs - this.#authorizedMs >= watchAuthorizeMs) this.expire(nowMs);
    for (const { stream } of this.#connections()) stream.tick(nowMs);
    if (nowMs - this.#probedMs >= streamProbeMs) {
      this.#probedMs = nowMs;
      for (const { channel } of this.#bodies) channel.probeIfQuiet();
    }
    for (const [channel, untilMs] of this.#draining) {
      if (nowMs < untilMs) continue;
      channel.abandon();
      this.#draining.delete(channel);
    }
    this.pump();
    if (this.#resting) this.#saveStale();
  }

  /**
   * The replica's clock is about to stop, and from then on the object may be put to sleep: everything that it must know
   * is saved.
   */
  flush(): void {
    this.#resting = true;
    // The object forgets what it holds when it is put to sleep.
    for (const { channel } of this.#sockets.values()) channel.resting();
    const { revision } = this.hub;
    if (revision === this.#flushedRevision) return this.#saveStale();
    for (const { channel } of this.#sockets.values()) channel.save();
    this.#flushedRevision = revision;
  }

  /** The replica no longer serves: every stream ends, and `failure` says why. */
  end(failure: Failure): void {
    for (const { stream } of this.#connections()) stream.end({ reason: 'stopped', failure });
  }

  // Opening

  #openV1(call: WatchCall & { protocol: 'v1' }, caller: Caller): Response {
    const { parameters, transport, accepted } = call;
    if (isEmptyRange(parameters.range)) {
      return failureResponse('v1', { kind: 'badRequest', detail: 'no key lies between start and end' });
    }
    const failure = this.#options.authorize(caller, parameters.range);
    if (failure !== null) return failureResponse('v1', failure);
    if (transport === 'websocket') {
      const make = (channel: SocketChannel): V1WatchStream =>
        new V1WatchStream(this.#context(caller), channel, transport);
      const { answer, stream } = this.#accept({ subprotocol: accepted, caller }, make);
      stream.open(parameters);
      this.pump();
      return answer;
    }
    // By this status an EventSource stops asking. It understands nothing else of an answer.
    const { compactedRevision } = this.#options.history;
    if (parameters.from !== null && parameters.from < compactedRevision) {
      return failureResponse('v1', { kind: 'compacted', compactedRevision });
    }
    const form = { caller, terminator: '', blank: blankOf[transport] };
    const { stream, channel } = this.#stream(form, (body) => new V1WatchStream(this.#context(caller), body, transport));
    stream.open(parameters);
    this.pump();
    return streaming(channel, watchContentTypes[transport]);
  }

  #openV3Socket(call: WatchCall & { protocol: 'v3' }, caller: Caller): Response {
    const make = (channel: SocketChannel): V3WatchStream => new V3WatchStream(this.#context(caller), channel);
    const { answer, stream, channel } = this.#accept({ subprotocol: call.accepted, caller }, make);
    channel.save();
    this.#endAfter(stream, call.timeoutMs);
    return answer;
  }

  /** The status of the answer goes out with the first message that could be read. */
  async #openV3Body(call: WatchCall & { protocol: 'v3' }, request: Request, caller: Caller): Promise<Response> {
    const posted = new PostedMessages(request.body);
    const first = await this.#firstPosted(posted, caller);
    if ('kind' in first) return failureResponse('v3', first);
    const make = (channel: BodyChannel): V3WatchStream => new V3WatchStream(this.#context(caller), channel);
    const { stream, channel } = this.#stream({ caller, terminator: '\n', blank: blankSpace }, make);
    const fault = first.messages.length === 0 ? first.fault : take(stream, first.messages.slice(0, 1));
    if (fault !== null) {
      const failure: Failure = { kind: 'badRequest', detail: fault };
      channel.close(failure);
      return failureResponse('v3', failure);
    }
    if (takePosted(stream, { ...first, messages: first.messages.slice(1) })) this.#listen(posted, stream);
    this.pump();
    this.#endAfter(stream, call.timeoutMs);
    return streaming(channel, 'application/json');
  }

  /** A client that sends no message counts as open, too, until its key ends or it has been silent for too long. */
  async #firstPosted(posted: PostedMessages, caller: Caller): Promise<Posted | Failure> {
    const { open, later } = this.#options;
    let ended: Failure | null = null;
    const end = (failure: Failure): void => {
      ended ??= failure;
      posted.cancel();
    };
    const openCall: OpenCall = { kind: 'watchStream', caller, end, probe: null };
    open.add(openCall);
    const cancelTimer = later(() => end({ kind: 'timeout' }), postedMessageWaitMs);
    const first = await posted.first();
    cancelTimer();
    open.delete(openCall);
    return ended ?? first;
  }

  /** Further messages of a POST whose body goes on. */
  #listen(posted: PostedMessages, stream: V3WatchStream): void {
    const read = async (): Promise<void> => {
      while (takePosted(stream, await posted.next())) this.pump();
    };
    read().catch((error: unknown) => {
      this.#options.later(() => {
        throw error;
      }, 0);
    });
  }

  #context(caller: Caller): WatchStreamContext {
    const { authorize, mayGoOn, header } = this.#options;
    return {
      hub: this.hub,
      caller,
      authorize: (range) => authorize(caller, range),
      mayGoOn: (range) => mayGoOn(caller, range),
      header,
    };
  }

  #accept<Made extends Stream>(
    { subprotocol, caller }: { readonly subprotocol: string | null; readonly caller: Caller },
    make: (channel: SocketChannel) => Made,
  ): { readonly answer: Response; readonly stream: Made; readonly channel: SocketChannel } {
    const { socket, answer } = this.#options.sockets.accept(subprotocol);
    return { answer, ...this.#connect(socket, { caller, ownRows: null }, make) };
  }

  #connect<Made extends Stream>(
    socket: HibernatingSocket,
    own: Pick<SocketOptions, 'caller' | 'ownRows'>,
    make: (channel: SocketChannel) => Made,
  ): { readonly stream: Made; readonly channel: SocketChannel } {
    const channel: SocketChannel = new SocketChannel(socket, {
      ...own,
      rows: this.#rows,
      saved: () => stream.save(),
      memory: this.#options.memory(own.caller),
      nowMs: this.#options.nowMs,
      heardMs: () => this.#options.sockets.heardMs(socket),
      closed: () => this.#forget(socket),
    });
    const stream = make(channel);
    const openCall = this.#add('watchSocket', stream, null);
    this.#sockets.set(socket, { stream, channel, openCall });
    return { stream, channel };
  }

  #forget(socket: HibernatingSocket): void {
    const connection = this.#sockets.get(socket);
    if (connection === undefined) return;
    this.#options.open.delete(connection.openCall);
    this.#sockets.delete(socket);
    connection.channel.forget();
  }

  #add(kind: OpenCall['kind'], stream: Stream, probe: OpenCall['probe']): OpenCall {
    const end = (failure: Failure): void => stream.end({ reason: 'accessEnded', failure });
    const openCall: OpenCall = { kind, caller: stream.caller, end, probe };
    this.#options.open.add(openCall);
    return openCall;
  }

  #stream<Made extends Stream>(
    { caller, ...form }: { readonly caller: Caller; readonly terminator: string; readonly blank: string },
    make: (channel: BodyChannel) => Made,
  ): { readonly stream: Made; readonly channel: BodyChannel } {
    const channel: BodyChannel = new BodyChannel({
      ...form,
      durable: this.#options.durable,
      memory: this.#options.memory(caller),
      backlogBytesMax: () => bodyBacklogBytesMax(this.#bodies.size),
      drained: () => this.pump(),
      gone: () => {
        stream.dispose();
        this.#bodies.delete(connection);
        this.#options.open.delete(openCall);
        this.#draining.delete(channel);
      },
      closed: () => {
        this.#bodies.delete(connection);
        this.#options.open.delete(openCall);
        if (channel.backlogBytes > 0) this.#draining.set(channel, this.#options.nowMs() + watchBodyDrainMs);
      },
    });
    const stream = make(channel);
    const openCall = this.#add('watchStream', stream, () => channel.probe());
    const connection: BodyConnection = { stream, channel };
    this.#bodies.add(connection);
    this.#tickBodies();
    return { stream, channel };
  }

  #endAfter(stream: V3WatchStream, timeoutMs: number | null): void {
    if (timeoutMs === null) return;
    this.#options.later(() => stream.end({ reason: 'timeout', failure: { kind: 'timeout' } }), timeoutMs);
  }

  // Waking, and work that goes on

  /** The number under which the stream has rows; 0: it has no rows. */
  #restore(socket: HibernatingSocket): number {
    const slept = this.#slept(socket);
    if (slept === null) {
      closeSocket(socket, { kind: 'restarted' });
      return 0;
    }
    const { saved, ownRows } = slept;
    const { caller } = saved;
    const context = this.#context(caller);
    const { stream } = this.#connect(socket, { caller, ownRows }, (channel) =>
      saved.protocol === 'v1' ? new V1WatchStream(context, channel, 'websocket') : new V3WatchStream(context, channel),
    );
    stream.restore(saved);
    const failure = stream.lost();
    if (failure !== null) stream.end({ reason: 'accessEnded', failure });
    return ownRows?.stream ?? 0;
  }

  /** null: it is not known what the client has, or not all of the stream's state is known. */
  #slept(socket: HibernatingSocket): { readonly saved: SavedStream; readonly ownRows: StreamRows | null } | null {
    const attachment = decodeAttachment(socket.deserializeAttachment());
    if (attachment === null || attachment.kind === 'stale') return null;
    if (attachment.kind === 'saved') return { saved: attachment.stream, ownRows: null };
    const { rows, watches } = this.#rows.resume(attachment.stream, attachment.next);
    return watches.length === attachment.count ? { saved: { ...attachment.head, watches }, ownRows: rows } : null;
  }

  /** Lets watches that are behind catch up, one slice of history a turn, so that other work comes between. */
  pump(): void {
    if (this.#pumping || !this.hub.catchingUp) return;
    this.#pumping = true;
    const slice = (): void => {
      this.#options.open.expire();
      if (this.hub.catchUp()) {
        this.#options.later(slice, 0);
        return;
      }
      this.#pumping = false;
      this.caughtUp();
      if (this.#resting) this.#saveStale();
      // A body tells when it was read. A socket does not: its room grows with time.
      if (this.hub.catchingUp && this.#socketsAreFull()) this.#options.later(() => this.pump(), watchRoomMs);
    };
    this.#options.later(slice, 0);
  }

  #socketsAreFull(): boolean {
    for (const { channel } of this.#sockets.values()) if (channel.room() === 'full') return true;
    return false;
  }

  #saveStale(): void {
    for (const { channel } of this.#sockets.values()) if (channel.stale) channel.save();
  }

  #tickBodies(): void {
    if (this.#ticking) return;
    this.#ticking = true;
    const beat = (): void => {
      this.tick(this.#options.nowMs());
      this.#ticking = this.#bodies.size > 0 || this.#draining.size > 0;
      if (this.#ticking) this.#options.later(beat, bodyTickMs);
    };
    this.#options.later(beat, bodyTickMs);
  }

  #connections(): readonly { readonly stream: Stream }[] {
    return [...this.#sockets.values(), ...this.#bodies];
  }
}

/** Takes one message or several. Those before one that cannot be read are taken, and none is ignored in silence. */
function takeFrame(stream: V3WatchStream, frame: Uint8Array): Failure | null {
  const { messages, fault } = splitFrame(frame);
  const detail = take(stream, messages) ?? fault;
  return detail === null ? null : { kind: 'badRequest', detail };
}

/** True: more messages may come. */
function takePosted(stream: V3WatchStream, { messages, fault, ended }: Posted): boolean {
  const detail = take(stream, messages) ?? fault;
  if (detail !== null) stream.end({ reason: 'badMessage', failure: { kind: 'badRequest', detail } });
  return detail === null && !ended;
}

/** The failure says why a message could not be read; null: all messages were read. */
function take(stream: V3WatchStream, messages: readonly Uint8Array[]): string | null {
  for (const message of messages) {
    const fault = stream.message(message);
    if (fault !== null) return fault;
  }
  return null;
}

function streaming(channel: BodyChannel, contentType: string): Response {
  return new Response(channel.stream, {
    headers: { 'content-type': contentType, 'cache-control': 'no-store', 'x-accel-buffering': 'no' },
  });
}

// A hibernating WebSocket as the channel of a watch stream. What the stream must not forget while the object sleeps is
// in the socket's attachment, and in rows if it does not fit.
//
// What the platform gives, measured in workerd: `send` always takes the message and never waits; a hibernating socket
// has no `bufferedAmount` (the property is read where a runtime has it); an aborted object takes its sockets with it,
// so only a hibernating socket survives what this file knows of it.

import { type Closing, closeSocket } from '../../api/close-frames.ts';
import {
  watchAttachmentBytesMax,
  watchSocketBacklogBytesMax,
  watchSocketReadBytesPerSecond,
  watchSocketUnreadBytesMax,
} from '../../limits.ts';
import type { Reservation } from '../../base/memory-budget.ts';
import type { Caller } from '../../model/store.ts';
import { UnreadBytes } from '../unread-bytes.ts';
import { encodeStream, encodeStreamOfRows, staleAttachment, streamBytes, watchBytes } from './watch-attachment.ts';
import type { SavedStream, SavedWatch, Room, WatchChannel } from './watch-channel.ts';
import type { StreamRows, WatchRows } from './watch-rows.ts';

/** The part of the platform's WebSocket that is used here. */
export type HibernatingSocket = {
  send(message: string): void;
  close(code: number, reason: string): void;
  serializeAttachment(attachment: Uint8Array): void;
  deserializeAttachment(): unknown;
  readonly bufferedAmount?: number | undefined;
};

/** The sockets of an object that belong to watches. */
export interface WatchSockets {
  /** A socket that hibernates, and the answer that gives its other end to the client. */
  accept(subprotocol: string | null): { readonly socket: HibernatingSocket; readonly answer: Response };
  /** All open sockets, also those that an earlier instance accepted. */
  open(): readonly HibernatingSocket[];
  /** The time at which the client last sent what the platform answers without the object (a heartbeat). Null: never. */
  heardMs(socket: HibernatingSocket): number | null;
}

export type SocketOptions = {
  readonly caller: Caller;
  readonly rows: WatchRows;
  /** The rows of a stream that slept with some. */
  readonly ownRows: StreamRows | null;
  /** What would have to be saved now. */
  readonly saved: () => SavedStream;
  /** The memory of the isolate that the socket holds. */
  readonly memory: Reservation;
  readonly nowMs: () => number;
  /** `WatchSockets.heardMs` of this socket. */
  readonly heardMs: () => number | null;
  /** The stream has ended the connection. */
  readonly closed: () => void;
};

export class SocketChannel implements WatchChannel {
  /** A socket that hibernates is kept open by the platform. */
  readonly needsSigns = false;
  readonly #socket: HibernatingSocket;
  readonly #options: SocketOptions;
  readonly #unread = new UnreadBytes({
    bytesMax: watchSocketUnreadBytesMax,
    bytesPerSecond: watchSocketReadBytesPerSecond,
  });
  #heardMs = 0;
  #saved: 'current' | 'stale' | 'gone';
  /** Once a stream has rows it keeps its watches there. */
  #rows: StreamRows | null;

  constructor(socket: HibernatingSocket, options: SocketOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#saved = 'current';
    this.#rows = options.ownRows;
  }

  send(message: string): void {
    if (this.#saved === 'gone') return;
    this.#spoil();
    const nowMs = this.#options.nowMs();
    this.#unread.sent(message.length, nowMs);
    try {
      this.#socket.send(message);
    } catch {
      // The client has closed the socket. The platform's close event, which follows, disposes of the stream.
      this.#saved = 'gone';
    }
  }

  room(): Room {
    const room = this.#room();
    if (room === 'free') return room;
    // The platform is asked only where it matters.
    const heardMs = this.#options.heardMs();
    if (heardMs === null || heardMs <= this.#heardMs) return room;
    this.#heardMs = heardMs;
    this.heard();
    return this.#room();
  }

  #room(): Room {
    const nowMs = this.#options.nowMs();
    const buffered = this.#socket.bufferedAmount;
    const bytes = buffered ?? this.#unread.at(nowMs);
    const isOver = buffered === undefined ? this.#unread.isOver(nowMs) : buffered > watchSocketBacklogBytesMax;
    if (isOver || this.#options.memory.hold(bytes) !== null) return 'over';
    const full = buffered === undefined ? watchSocketUnreadBytesMax / 2 : watchSocketBacklogBytesMax / 4;
    return bytes > full ? 'full' : 'free';
  }

  /** The client has said something: it is there, and has read what it was sent. */
  heard(): void {
    this.#unread.heard();
    this.#options.memory.release();
  }

  holds(watches: readonly Pick<SavedWatch, 'shape'>[]): boolean {
    const { caller, rows } = this.#options;
    if (this.#rows === null) {
      const bytes = streamBytes(caller, watches);
      return bytes <= watchAttachmentBytesMax || rows.hasRoom(bytes);
    }
    const last = watches.at(-1);
    return last === undefined || rows.hasRoom(watchBytes(last));
  }

  changed(): void {
    this.save();
  }

  /** The object may be put to sleep, and then forgets what it holds. */
  resting(): void {
    this.#options.memory.release();
  }

  /** The connection is gone: nothing of its stream stays. */
  forget(): void {
    this.#saved = 'gone';
    this.#options.memory.release();
    this.#rows?.delete();
    this.#rows = null;
  }

  /** Writes down what the stream needs next. */
  save(): void {
    if (this.#saved === 'gone') return;
    this.#socket.serializeAttachment(this.#encode(this.#options.saved()));
    this.#saved = 'current';
  }

  #encode(saved: SavedStream): Uint8Array {
    if (this.#rows === null && streamBytes(saved.caller, saved.watches) <= watchAttachmentBytesMax) {
      return encodeStream(saved);
    }
    this.#rows ??= this.#options.rows.begin();
    return encodeStreamOfRows(saved, { stream: this.#rows.stream, next: this.#rows.save(saved.watches) });
  }

  get stale(): boolean {
    return this.#saved === 'stale';
  }

  close(closing: Closing): void {
    if (this.#saved === 'gone') return;
    this.#saved = 'gone';
    // The socket is there until its client has closed, too; the stream must not come back with it.
    this.#socket.serializeAttachment(staleAttachment);
    closeSocket(this.#socket, closing);
    this.#options.closed();
  }

  /**
   * Called before the first message after each save: what the attachment says is no longer true. If the object comes
   * back without having saved, it must notice that, because sending an event twice would be worse than ending the
   * stream.
   */
  #spoil(): void {
    if (this.#saved !== 'current') return;
    this.#socket.serializeAttachment(staleAttachment);
    this.#saved = 'stale';
  }
}

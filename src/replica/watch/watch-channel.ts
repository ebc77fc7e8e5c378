// What a watch stream, v1 or v3, needs of its connection. There are two kinds, a hibernating WebSocket and the body of
// a streaming answer; tests have a third.

import type { ResponseHeader } from '../../api/contract.ts';
import type { Closing } from '../../api/close-frames.ts';
import type { Failure } from '../../api/errors/errors.ts';
import type { Revision } from '../../model/brands.ts';
import type { Caller, KeyRange } from '../../model/store.ts';
import type { WatchShape } from '../../mvcc/watch/watch-batch.ts';
import type { Room, WatchHub } from '../../mvcc/watch/watch-hub.ts';

/** What a watch stream knows of its replica and of the caller that opened it. */
export type WatchStreamContext = {
  readonly hub: WatchHub;
  readonly caller: Caller;
  /** Why the caller may not read this range now. Null: it may. */
  readonly authorize: (range: KeyRange) => Failure | null;
  /** The same for an open watch: the roles of its user do not count any more. */
  readonly mayGoOn: (range: KeyRange) => Failure | null;
  readonly header: (revision: Revision) => ResponseHeader;
};

/** Why the service ends a stream with all its watches. */
export type StreamEnd = {
  readonly reason: 'accessEnded' | 'timeout' | 'stopped' | 'badMessage' | 'tooLarge';
  readonly failure: Failure;
};

export type { Room } from '../../mvcc/watch/watch-hub.ts';

export interface WatchChannel {
  /** Hands one message to the client. A connection that is gone takes the message in silence. */
  send(message: string): void;
  room(): Room;
  /** Called after the last message. */
  close(closing: Closing): void;
  /** Whether a stream that watches all these can be kept as long as its connection. */
  holds(watches: readonly Pick<SavedWatch, 'shape'>[]): boolean;
  /** The watches of the stream have changed, and so has what a sleeping object must know. */
  changed(): void;
  /** Without a message now and then, proxies take the connection for dead. */
  readonly needsSigns: boolean;
}

/** One watch as it is kept while the object sleeps. */
export type SavedWatch = {
  /** The watch_id of v3; 0 on v1. */
  readonly id: bigint;
  readonly shape: WatchShape;
  /** The start that the client named, while it is still ahead; otherwise 0. */
  readonly start: number;
  /** The first revision that the client was not sent. */
  readonly next: number;
  readonly progressNotify: boolean;
  readonly fragment: boolean;
};

/** Everything that a sleeping object must know of a stream. */
export type SavedStream = {
  readonly protocol: 'v1' | 'v3';
  readonly caller: Caller;
  /** v3: the lowest watch_id that counting has not given out yet. */
  readonly nextId: bigint;
  readonly watches: readonly SavedWatch[];
};

// What a watch stream, v1 or v3, needs of its connection. A hibernating WebSocket and the body of a streaming answer
// are the two kinds; tests have a third.

import type { ResponseHeader } from '../../api/contract.ts';
import type { Closing } from '../../api/close-frames.ts';
import type { Failure } from '../../api/errors/errors.ts';
import type { Revision } from '../../model/brands.ts';
import { watchEventsBytesMax } from '../../limits.ts';
import type { Caller, KeyRange, StoreEvent } from '../../model/store.ts';
import type { WatchBatch, WatchShape } from '../../mvcc/watch/watch-batch.ts';
import type { Room, WatchHub } from '../../mvcc/watch/watch-hub.ts';

/** What a watch stream knows of its replica and of who opened it. */
export type WatchStreamContext = {
  readonly hub: WatchHub;
  readonly caller: Caller;
  /** Whether the caller may read this range now; null: it may. */
  readonly authorize: (range: KeyRange) => Failure | null;
  /** The same of a watch that is open: the roles of its user do not count any more. */
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
  /** Hands one message to the client. A connection that is gone takes it in silence. */
  send(message: string): void;
  room(): Room;
  /** After the last message. */
  close(closing: Closing): void;
  /** Whether a stream that watches all these can be kept as long as its connection. */
  holds(watches: readonly Pick<SavedWatch, 'shape'>[]): boolean;
  /** The stream's watches are others than before: what a sleeping object must know has changed. */
  changed(): void;
  /** Without a message now and then, something between takes the connection for dead. */
  readonly needsSigns: boolean;
}

/** The texts of a batch's events; null where they are more than one message may hold. */
export function eventTexts(
  batch: WatchBatch,
  encode: (event: StoreEvent, withPrevious: boolean) => string,
): readonly string[] | null {
  const texts: string[] = [];
  let bytes = 0;
  for (const { events } of batch.revisions) {
    for (const event of events) {
      const text = encode(event, batch.previous);
      bytes += text.length;
      if (bytes > watchEventsBytesMax) return null;
      texts.push(text);
    }
  }
  return texts;
}

/** One watch as it is kept while the object sleeps. */
export type SavedWatch = {
  /** v3's watch_id; 0 on v1. */
  readonly id: bigint;
  readonly shape: WatchShape;
  /** The start that the client named while it is still ahead, else 0. */
  readonly start: number;
  /** The first revision that the client was not sent. */
  readonly next: number;
  readonly progressNotify: boolean;
  readonly fragment: boolean;
};

/** All that a sleeping object must know of a stream. */
export type SavedStream = {
  readonly protocol: 'v1' | 'v3';
  readonly caller: Caller;
  /** v3: the lowest watch_id that counting has not handed out yet. */
  readonly nextId: bigint;
  readonly watches: readonly SavedWatch[];
};

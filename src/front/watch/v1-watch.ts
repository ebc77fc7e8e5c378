// A client's watch of v1 that ends at the front, whatever carries it: what is said of it, in the order and the words
// in which a replica says it (`replica/watch/watch-v1-stream.ts`). It is pure.

import type { Closing } from '../../api/close-frames.ts';
import { type Failure, knownFailure } from '../../api/errors/errors.ts';
import type { ToldRevisions } from '../../api/event-texts.ts';
import {
  canceledFrame,
  createdFrame,
  frameTexts,
  parseWatchFrame,
  progressFrame,
  revisionsFrame,
  unknownFrame,
  type V1Transport,
  type WatchFrame,
} from '../../api/v1/watch.ts';
import { EncodedOnce } from '../../base/encoded-once.ts';
import { watchQuietMs } from '../../limits.ts';
import type { FailureData } from '../../model/calls.ts';
import type { RevisionEvents } from '../../model/store.ts';
import type { ToldAt } from '../../session/client-port.ts';
import { textFrame } from '../server-frames.ts';
import type { ClientSink, ClientWatch, Created } from './shared-watches.ts';

/** What carries the messages of a watch to its client. */
export type V1Channel = {
  /** This replica created the watch, so the request is answered, and this is the first message. */
  readonly open: (message: Buffer, replica: number) => void;
  /** The watch was not created, and its client was told nothing. */
  readonly refused: () => void;
  /** @param message It may be shared with other channels. */
  readonly send: (message: Buffer) => void;
  /** False: what was sent before has not left. */
  readonly hasRoom: () => boolean;
  /** Without a message now and then, proxies take the connection for dead. */
  readonly needsSigns: boolean;
  /** It is answered by a status, which also says that history is compacted. */
  readonly hasStatus: boolean;
  readonly close: (closing: Closing) => void;
};

const bytesOf: Readonly<Record<V1Transport, (frame: WatchFrame) => Buffer>> = {
  websocket: (frame) => textFrame(frameTexts.websocket(frame)),
  sse: (frame) => Buffer.from(frameTexts.sse(frame), 'utf8'),
  ndjson: (frame) => Buffer.from(frameTexts.ndjson(frame), 'utf8'),
};

/** The bytes of events, made once for all watches that are told the same. Null: they are more than a message holds. */
type EventBytes = EncodedOnce<readonly RevisionEvents[], Buffer | null>;

function eventsOn(transport: V1Transport, previous: ToldRevisions['previous']): EventBytes {
  return new EncodedOnce((revisions) => {
    const frame = revisionsFrame({ revisions, previous });
    return frame === null ? null : bytesOf[transport](frame);
  });
}

function eventsWith(previous: boolean): Readonly<Record<V1Transport, EventBytes>> {
  return {
    websocket: eventsOn('websocket', previous),
    sse: eventsOn('sse', previous),
    ndjson: eventsOn('ndjson', previous),
  };
}

const plainEvents = eventsWith(false);
const eventsWithPrevious = eventsWith(true);

/** A replica that has no room for the watch is no reason for its client to give it up. */
const passing: ReadonlySet<string> = new Set(['memoryFull', 'tooManyOpen', 'overloaded']);

export class V1Watch implements ClientSink {
  readonly #channel: V1Channel;
  readonly #transport: V1Transport;
  readonly #eventBytes: EventBytes;
  #watch: ClientWatch | null = null;
  #isCreated = false;
  /** What is not said yet, because history may be compacted. */
  #held: Created | null = null;
  /** The store's revision, as far as it is known here. */
  #revision = 0;
  /** The newest revision that the client was told. */
  #told = 0;
  #spokeMs: number | null = null;
  #spoke = true;

  constructor(channel: V1Channel, transport: V1Transport, previous: boolean) {
    this.#channel = channel;
    this.#transport = transport;
    this.#eventBytes = (previous ? eventsWithPrevious : plainEvents)[transport];
  }

  get isCreated(): boolean {
    return this.#isCreated;
  }

  /** @param watch Whose sink this is. */
  begin(watch: ClientWatch): void {
    this.#watch = watch;
  }

  /** Its client has gone. */
  end(): void {
    this.#watch?.end();
    this.#watch = null;
  }

  /** There is room again. */
  goOn(): void {
    this.#watch?.goOn();
  }

  /** A message of the client. Null: it is larger than any that means something. */
  message(message: Uint8Array | null): void {
    if (message === null || parseWatchFrame(message) === 'unknown') {
      this.#fail(unknownFrame, unknownFrame);
      return;
    }
    this.#watch?.askProgress();
  }

  /** Tells a quiet client how far it is: a revision to resume from. */
  tick(nowMs: number): void {
    if (this.#spoke || this.#spokeMs === null) {
      this.#spoke = false;
      this.#spokeMs = nowMs;
      return;
    }
    if (nowMs - this.#spokeMs < watchQuietMs) return;
    this.#spokeMs = nowMs;
    const told = this.#watch?.told() ?? null;
    const isNews = told !== null && told > this.#told;
    if (told !== null && (isNews || this.#channel.needsSigns)) this.#say(progressFrame(told), told);
    this.#spoke = false;
  }

  // What the watch says

  readonly created: ClientSink['created'] = (told) => {
    if (!this.#channel.hasStatus || told.from > told.header.revision) return this.#open(told);
    this.#held = told;
    this.#watch?.askProgress();
  };

  #open({ header, from, replica }: Created): void {
    this.#held = null;
    this.#isCreated = true;
    this.#revision = header.revision;
    this.#told = from - 1;
    this.#channel.open(bytesOf[this.#transport](createdFrame({ revision: header.revision, from })), replica);
  }

  #openHeld(): void {
    if (this.#held !== null) this.#open(this.#held);
  }

  readonly events = (revisions: readonly RevisionEvents[], at: ToldAt): void => {
    this.#openHeld();
    const bytes = this.#eventBytes.of(revisions);
    if (bytes === null) return this.#fail({ kind: 'answerTooLarge' }, { kind: 'eventsTooLarge' });
    this.#spoke = true;
    this.#told = revisions.at(-1)?.revision ?? this.#told;
    this.#revision = Math.max(this.#revision, this.#told, at.revision);
    this.#channel.send(bytes);
  };

  readonly progress = ({ revision }: ToldAt): void => {
    // A client of plain HTTP asks for no progress: it was asked whether history is there.
    if (this.#channel.hasStatus) return this.#openHeld();
    this.#revision = Math.max(this.#revision, revision);
    this.#say(progressFrame(revision), revision);
  };

  readonly ended = (data: FailureData): void => {
    if (!this.#isCreated) return this.#channel.refused();
    if (passing.has(data.kind)) return this.lost();
    const failure = knownFailure(data);
    this.#fail(failure, failure.kind === 'answerTooLarge' ? { kind: 'eventsTooLarge' } : failure);
  };

  readonly lost = (): void => {
    if (!this.#isCreated) return this.#channel.refused();
    this.#watch = null;
    this.#channel.close({ kind: 'restarted' });
  };

  readonly hasRoom = (): boolean => this.#channel.hasRoom();

  #fail(failure: Failure, closing: Closing): void {
    this.end();
    this.#write(canceledFrame(this.#revision, { reason: 'failed', failure }));
    this.#channel.close(closing);
  }

  #say(frame: WatchFrame, told: number): void {
    this.#spoke = true;
    this.#told = told;
    this.#write(frame);
  }

  #write(frame: WatchFrame): void {
    this.#channel.send(bytesOf[this.#transport](frame));
  }
}

// A client's watch of v1 that ends at the front, whatever carries it: between the watches by session that know the
// events and the machine that knows what its client hears (`api/v1/watch-stream.ts`). It is pure.

import type { Closing } from '../../api/close-frames.ts';
import { knownFailure } from '../../api/errors/errors.ts';
import { frameTexts, type V1Transport } from '../../api/v1/watch.ts';
import { type V1Written, WatchStream, writtenBy } from '../../api/v1/watch-stream.ts';
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

const written: Readonly<Record<V1Transport, V1Written<Buffer>>> = {
  websocket: writtenBy((frame) => textFrame(frameTexts.websocket(frame))),
  sse: writtenBy((frame) => Buffer.from(frameTexts.sse(frame), 'utf8')),
  ndjson: writtenBy((frame) => Buffer.from(frameTexts.ndjson(frame), 'utf8')),
};

/** A replica that has no room for the watch is no reason for its client to give it up. */
const passing: ReadonlySet<string> = new Set(['memoryFull', 'tooManyOpen', 'overloaded']);

export class V1Watch implements ClientSink {
  readonly #channel: V1Channel;
  readonly #stream: WatchStream<Buffer>;
  #watch: ClientWatch | null = null;
  #isCreated = false;
  /** What is not said yet, because history may be compacted. */
  #held: Created | null = null;
  /** Which replica created the watch, until the first message goes out, which says so. */
  #openedBy: number | null = null;
  /** The store's revision, as far as it is known here. */
  #revision = 0;

  constructor(channel: V1Channel, transport: V1Transport, previous: boolean) {
    this.#channel = channel;
    this.#stream = new WatchStream<Buffer>(
      {
        revision: () => this.#revision,
        told: () => this.#watch?.told() ?? null,
        askProgress: () => this.#watch?.askProgress(),
        end: () => this.end(),
      },
      {
        written: written[transport],
        previous,
        send: (message) => this.#send(message),
        close: (closing) => channel.close(closing),
        needsSigns: () => channel.needsSigns,
      },
    );
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
    const failure = this.#stream.message(message);
    if (failure !== null) this.#stream.fail(failure);
  }

  /** Tells a quiet client how far it is: a revision to resume from. */
  tick(nowMs: number): void {
    this.#stream.tick(nowMs);
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
    this.#openedBy = replica;
    this.#stream.created(header.revision, from);
  }

  #openHeld(): void {
    if (this.#held !== null) this.#open(this.#held);
  }

  readonly events = (revisions: readonly RevisionEvents[], at: ToldAt): void => {
    this.#openHeld();
    this.#stream.events(revisions);
    this.#revision = Math.max(this.#revision, revisions.at(-1)?.revision ?? 0, at.revision);
  };

  readonly progress = ({ revision }: ToldAt): void => {
    // A client of plain HTTP asks for no progress: it was asked whether history is there.
    if (this.#channel.hasStatus) return this.#openHeld();
    this.#revision = Math.max(this.#revision, revision);
    this.#stream.progress(revision);
  };

  readonly ended = (data: FailureData): void => {
    if (!this.#isCreated) return this.#channel.refused();
    if (passing.has(data.kind)) return this.lost();
    const failure = knownFailure(data);
    if (failure.kind === 'answerTooLarge') this.#stream.tooLarge();
    else this.#stream.fail(failure);
  };

  readonly lost = (): void => {
    if (!this.#isCreated) return this.#channel.refused();
    this.#watch = null;
    this.#channel.close({ kind: 'restarted' });
  };

  readonly hasRoom = (): boolean => this.#channel.hasRoom();

  #send(message: Buffer): void {
    const replica = this.#openedBy;
    this.#openedBy = null;
    if (replica === null) this.#channel.send(message);
    else this.#channel.open(message, replica);
  }
}

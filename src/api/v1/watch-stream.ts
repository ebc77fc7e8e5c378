// One watch of v1 as its client hears it: `created` comes first, then events, and progress while nothing happens. There
// is at most one `canceled`, which is the last message. It is the same whatever knows the events (the hub of a replica,
// the watches by session of a front), and whatever carries the messages. It is pure.

import { assert } from '../../base/assert.ts';
import { EncodedOnce } from '../../base/encoded-once.ts';
import { watchQuietMs } from '../../limits.ts';
import type { RevisionEvents } from '../../model/store.ts';
import type { Closing } from '../close-frames.ts';
import type { Failure } from '../errors/errors.ts';
import {
  canceledFrame,
  createdFrame,
  parseWatchFrame,
  progressFrame,
  revisionsFrame,
  unknownFrame,
  type WatchEnd,
  type WatchFrame,
} from './watch.ts';

/** Knows the events. */
export type V1WatchSource = {
  /** The store's revision, as far as it is known. */
  readonly revision: () => number;
  /** The watch was told all events up to this revision. Null: it is behind, before its start, or over. */
  readonly told: () => number | null;
  /** Has the client told how far the watch is, at once or later. */
  readonly askProgress: () => void;
  readonly end: () => void;
};

/** Carries the messages. */
export type V1WatchOutput<Message> = {
  readonly written: V1Written<Message>;
  /** True: events are told with the pairs before them. */
  readonly previous: boolean;
  readonly send: (message: Message) => void;
  /** Called after the last message. */
  readonly close: (closing: Closing) => void;
  /** Without a message now and then, proxies take the connection for dead. */
  readonly needsSigns: () => boolean;
};

/** How messages are written. */
export type V1Written<Message> = {
  readonly frame: (frame: WatchFrame) => Message;
  /** They are made once for all watches that are told the same. Null: they are more than a message holds. */
  readonly events: (revisions: readonly RevisionEvents[], previous: boolean) => Message | null;
};

export function writtenBy<Message>(frame: (frame: WatchFrame) => Message): V1Written<Message> {
  const once = (previous: boolean): EncodedOnce<readonly RevisionEvents[], Message | null> =>
    new EncodedOnce((revisions) => {
      const made = revisionsFrame({ revisions, previous });
      return made === null ? null : frame(made);
    });
  const [plain, withPrevious] = [once(false), once(true)];
  return { frame, events: (revisions, previous) => (previous ? withPrevious : plain).of(revisions) };
}

export class WatchStream<Message> {
  readonly #source: V1WatchSource;
  readonly #output: V1WatchOutput<Message>;
  /** The newest revision that the client was told. */
  #told = 0;
  #spokeMs: number | null = null;
  #spoke = true;

  constructor(source: V1WatchSource, output: V1WatchOutput<Message>) {
    this.#source = source;
    this.#output = output;
  }

  // What the client says

  /** Null: the message is larger than any that means something. Returns why the stream does not take it. */
  message(message: string | Uint8Array | null): Failure | null {
    if (message === null || parseWatchFrame(message) === 'unknown') return unknownFrame;
    this.#source.askProgress();
    return null;
  }

  // What the source says

  /** Every event from the revision `from` on follows. */
  created(revision: number, from: number): void {
    this.#say(createdFrame({ revision, from }), from - 1);
  }

  events(revisions: readonly RevisionEvents[]): void {
    const { written, previous, send } = this.#output;
    const last = revisions.at(-1);
    assert(last !== undefined, 'a message of events has a revision');
    const message = written.events(revisions, previous);
    if (message === null) return this.tooLarge();
    this.#spoke = true;
    this.#told = last.revision;
    send(message);
  }

  progress(revision: number): void {
    this.#say(progressFrame(revision), revision);
  }

  /** The events of one revision do not fit a message. */
  tooLarge(): void {
    this.fail({ kind: 'answerTooLarge' }, { kind: 'eventsTooLarge' });
  }

  /** The client does not keep up, and may go on from this revision. */
  slow(resume: number): void {
    this.#end({ reason: 'slow', resumeFrom: resume }, { kind: 'slow', resume });
  }

  /** Ends the watch with a last message, and the connection. */
  fail(failure: Failure, closing: Closing = failure): void {
    this.#end({ reason: 'failed', failure }, closing);
  }

  // What the connection says

  /** Tells a quiet client how far it is: a revision to resume from, and a sign of life. */
  tick(nowMs: number): void {
    if (this.#spoke || this.#spokeMs === null) {
      this.#spoke = false;
      this.#spokeMs = nowMs;
      return;
    }
    if (nowMs - this.#spokeMs < watchQuietMs) return;
    this.#spokeMs = nowMs;
    const told = this.#source.told();
    if (told !== null && (told > this.#told || this.#output.needsSigns())) this.progress(told);
    this.#spoke = false;
  }

  #end(end: WatchEnd, closing: Closing): void {
    const { written, send, close } = this.#output;
    send(written.frame(canceledFrame(this.#source.revision(), end)));
    this.#source.end();
    close(closing);
  }

  #say(frame: WatchFrame, told: number): void {
    this.#spoke = true;
    this.#told = told;
    this.#output.send(this.#output.written.frame(frame));
  }
}

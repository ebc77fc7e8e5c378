// A watch by session that outlives its connections: where one breaks, it goes on at another replica, from the first
// revision that was not told. It is pure.

import { frontWatchLostMs } from '../../limits.ts';
import type { FailureData } from '../../model/calls.ts';
import type { OpenWatch, WatchSink } from '../../session/client-port.ts';
import type { SessionWatch } from '../../session/watch-codec.ts';
import type { UpstreamSink } from './shared-watches.ts';

export type MovingWatchPort = {
  /** Opens a watch at a replica. */
  readonly watchAt: (replica: number, watch: SessionWatch, sink: WatchSink) => OpenWatch;
  /** The replica that is asked first. */
  readonly first: () => number;
  /** The replica that is asked after one whose connection broke. */
  readonly after: (replica: number) => number;
  readonly nowMs: () => number;
};

export class MovingWatch implements OpenWatch {
  readonly #port: MovingWatchPort;
  readonly #wanted: SessionWatch;
  readonly #sink: UpstreamSink;
  #replica: number;
  #watch: OpenWatch | null = null;
  #next: number | null = null;
  #isAsked = false;
  /** Since when no replica could be reached. Null: the last one that was asked has spoken. */
  #brokenSinceMs: number | null = null;
  #isOver = false;

  constructor(wanted: SessionWatch, sink: UpstreamSink, port: MovingWatchPort) {
    this.#port = port;
    this.#wanted = wanted;
    this.#sink = sink;
    this.#replica = port.first();
    this.#begin();
  }

  readonly next = (): number | null => this.#watch?.next() ?? this.#next;

  readonly askProgress = (): void => {
    this.#isAsked = true;
    this.#watch?.askProgress();
  };

  readonly cancel = (): void => {
    this.#isOver = true;
    this.#watch?.cancel();
    this.#watch = null;
  };

  #begin(): void {
    const isFirst = this.#next === null;
    const watch = this.#port.watchAt(
      this.#replica,
      { ...this.#wanted, start: this.#next ?? this.#wanted.start },
      {
        created: (told) => {
          this.#brokenSinceMs = null;
          if (isFirst) this.#sink.created({ ...told, replica: this.#replica });
        },
        events: (revisions, at) => {
          this.#sink.events(revisions, at);
        },
        progress: (at) => {
          this.#isAsked = false;
          this.#sink.progress(at);
        },
        interrupted: (why) => this.#interrupted(why),
        ended: (failure, next) => {
          this.#isOver = true;
          this.#sink.ended(failure, next);
        },
      },
    );
    // Whoever hears of it may have cancelled it by now.
    if (this.#isOver) return watch.cancel();
    this.#watch = watch;
    if (this.#isAsked) watch.askProgress();
  }

  /** A replica that cannot be reached says so again and again, after longer and longer waits. */
  #interrupted(why: FailureData | null): void {
    if (this.#isOver) return;
    if (why?.kind === 'tenantDeleted') {
      this.#isOver = true;
      this.#sink.ended(why, this.next());
      return;
    }
    const nowMs = this.#port.nowMs();
    this.#brokenSinceMs ??= nowMs;
    this.#next = this.next();
    this.#watch?.cancel();
    this.#watch = null;
    if (nowMs - this.#brokenSinceMs >= frontWatchLostMs) {
      this.#isOver = true;
      this.#sink.lost();
      return;
    }
    this.#replica = this.#port.after(this.#replica);
    this.#begin();
  }
}

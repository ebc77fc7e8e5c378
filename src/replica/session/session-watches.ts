// The watches of sessions at a replica, between the hub that knows the events and the sessions that tell them. No I/O
// and no clock: the simulator has this, too.

import type { Failure } from '../../api/errors/errors.ts';
import { assert, AssertionError, unreachable } from '../../base/assert.ts';
import { EncodedOnce } from '../../base/encoded-once.ts';
import { sessionEventsBytesMax } from '../../limits.ts';
import type { FailureData } from '../../model/calls.ts';
import type { Caller, KeyRange } from '../../model/store.ts';
import type { WatchBatch } from '../../mvcc/watch/watch-batch.ts';
import { Watcher, type WatchEnd, type WatchHub, type WatchRefusal } from '../../mvcc/watch/watch-hub.ts';
import { encodeEvents, type SessionWatch } from '../../session/watch-codec.ts';
import type { EncodedEvents, ServedWatch, SessionWatchPort, WatchListener } from '../../session/watch-server.ts';
import type { OpenCall, OpenCalls } from '../open-calls.ts';

export type ReplicaWatchesOptions = {
  readonly hub: WatchHub;
  readonly open: Pick<OpenCalls, 'refusal' | 'add' | 'delete'>;
  /** Why this caller may not read this range now. Null: it may. */
  readonly authorize: (caller: Caller, range: KeyRange) => Failure | null;
  readonly caughtUp: SessionWatchPort['caughtUp'];
  /** Lets watchers that are behind catch up, in a later turn. */
  readonly goOn: () => void;
};

/** Null: they are more than one frame may hold. */
const encoded = new EncodedOnce((batch: WatchBatch): EncodedEvents | null => {
  const bytes = encodeEvents(batch.revisions, { previous: batch.previous, bytesMax: sessionEventsBytesMax });
  return bytes === null ? null : { bytes, first: firstRevision(batch), last: lastRevision(batch) };
});

export class ReplicaWatches implements SessionWatchPort {
  readonly #options: ReplicaWatchesOptions;
  readonly caughtUp: SessionWatchPort['caughtUp'];

  constructor(options: ReplicaWatchesOptions) {
    this.#options = options;
    this.caughtUp = options.caughtUp;
  }

  readonly goOn = (): void => {
    if (this.#options.hub.catchingUp) this.#options.goOn();
  };

  readonly begin = (
    { range, start, noPut, noDelete, previous }: SessionWatch,
    caller: Caller,
    listener: WatchListener,
  ): ReturnType<SessionWatchPort['begin']> => {
    const { hub, open, authorize } = this.#options;
    const refusal = authorize(caller, range) ?? open.refusal('sessionWatch', caller);
    if (refusal !== null) return { kind: 'failed', failure: refusal };
    const watcher = hub.create(
      { range, start, noPut, noDelete, previous },
      {
        receive: (own, batch) => {
          const events = encoded.of(batch);
          if (events !== null) return listener.events(events, batch.headerRevision);
          hub.delete(own);
          listener.ended({ kind: 'answerTooLarge' }, firstRevision(batch));
        },
        ended: (own, end) => listener.ended(failureOf(end), own.next),
        room: () => (listener.hasRoom() ? 'free' : 'none'),
      },
    );
    if (!(watcher instanceof Watcher)) return { kind: 'failed', failure: refusalOf(watcher, hub) };
    const place: OpenCall = {
      kind: 'sessionWatch',
      caller,
      end: (failure) => listener.ended(failure, hub.nextRevision(watcher)),
      probe: null,
    };
    open.add(place);
    const served: ServedWatch = {
      next: () => hub.nextRevision(watcher),
      // A watch that goes on after a break starts at the revision after the present one, and has all before it.
      progress: () => (hub.nextRevision(watcher) === hub.revision + 1 ? hub.revision : null),
      end: () => {
        hub.delete(watcher);
        open.delete(place);
      },
    };
    this.goOn();
    return { kind: 'serves', served };
  };
}

function failureOf(end: WatchEnd): FailureData {
  switch (end.kind) {
    case 'compacted':
      return end;
    case 'tooLarge':
      return { kind: 'answerTooLarge' };
    case 'slow':
      throw new AssertionError('a watch of a session falls back to history');
    default:
      return unreachable(end);
  }
}

function refusalOf(refusal: WatchRefusal, hub: WatchHub): FailureData {
  switch (refusal) {
    case 'emptyRange':
      return { kind: 'badRequest', detail: 'no key lies between start and end' };
    case 'tooManyWatchers':
      return { kind: 'overloaded' };
    case 'tooManyOfTenant':
      return { kind: 'tooManyOpen', what: 'sessionWatch', of: 'tenant', max: hub.fullAt ?? 0 };
    case 'negativeStart':
      throw new AssertionError('the start of a watch in a frame is not negative');
    default:
      return unreachable(refusal);
  }
}

function firstRevision({ revisions: [first] }: WatchBatch): number {
  assert(first !== undefined, 'a batch holds a revision');
  return first.revision;
}

function lastRevision({ revisions }: WatchBatch): number {
  const last = revisions.at(-1);
  assert(last !== undefined, 'a batch holds a revision');
  return last.revision;
}

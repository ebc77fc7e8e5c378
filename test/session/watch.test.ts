import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.ts';
import {
  rangeBoundBytesMax,
  sessionCreditBytes,
  sessionEventsBytesMax,
  sessionReconnectMsMax,
  sessionSilentMs,
  sessionWatchesMax,
  sessionWatchPingMs,
  watchQuietMs,
} from '../../src/limits.ts';
import { revision } from '../../src/model/brands.ts';
import type { FailureData } from '../../src/model/calls.ts';
import type { RevisionEvents, StoreEvent } from '../../src/model/store.ts';
import type { OpenWatch, ToldAt, WatchSink } from '../../src/session/client-port.ts';
import {
  type ClientFrame,
  decodeServerMessage,
  encodeClientFrame,
  encodeMessage,
  encodeServerFrame,
  type ServerFrame,
} from '../../src/session/frames.ts';
import { decodeEvents, encodeEvents, type SessionWatch } from '../../src/session/watch-codec.ts';
import { put, removal, shape } from '../mvcc/watch/plain-history.ts';
import { Random } from '../support/random.ts';
import { latencyMs, SessionPair } from './session-pair.ts';

const good = { kind: 'alone', text: 'good' } as const;
const other = { kind: 'alone', text: 'good other' } as const;

class Told implements WatchSink {
  from: number | null = null;
  readonly heard: (number | string)[] = [];
  readonly batches: (readonly RevisionEvents[])[] = [];
  readonly ats: ToldAt[] = [];
  interruptions = 0;
  end: { readonly failure: FailureData; readonly next: number | null } | null = null;

  readonly created: WatchSink['created'] = ({ from }) => {
    expect(this.from).toBeNull();
    this.from = from;
  };
  readonly events: WatchSink['events'] = (revisions, at) => {
    this.batches.push(revisions);
    this.ats.push(at);
    this.heard.push(...revisions.map((each) => Number(each.revision)));
  };
  readonly progress: WatchSink['progress'] = (at) => void this.heard.push(`up to ${at.revision}`);
  readonly reasons: (string | null)[] = [];
  readonly interrupted = (why: FailureData | null): void => {
    this.interruptions++;
    this.reasons.push(why?.kind ?? null);
  };
  readonly ended: WatchSink['ended'] = (failure, next) => {
    this.end = { failure, next };
  };
}

type Watching = { readonly told: Told; readonly watch: OpenWatch };

function wanted(key: string, start = 0, more: Partial<SessionWatch> = {}): SessionWatch {
  return { ...shape(key), start, ...more };
}

function open(): { readonly pair: SessionPair; readonly handle: number } {
  const pair = new SessionPair();
  return { pair, handle: pair.client.declare(good) };
}

function watch(pair: SessionPair, handle: number, what: SessionWatch): Watching {
  const told = new Told();
  return { told, watch: pair.client.watch(what, handle, told) };
}

function framesTo(pair: SessionPair): readonly ServerFrame[] {
  return pair.toClient.flatMap((message) => decodeServerMessage(message) ?? []);
}

/** A session that a client opens which this project did not write, and which reads as it likes. */
function stranger(credit: number): { readonly pair: SessionPair; readonly say: (...frames: ClientFrame[]) => void } {
  const { pair, handle } = open();
  watch(pair, handle, wanted('unwatched')).watch.cancel();
  pair.run(100);
  pair.sleep();
  pair.run(0);
  pair.toClient.length = 0;
  const say = (...frames: ClientFrame[]): void => {
    pair.server?.message(encodeMessage(frames.map(encodeClientFrame)));
    pair.run(1);
  };
  pair.mute = true;
  say(
    { kind: 'hello', processId: utf8('0123456789abcdef'), credit },
    { kind: 'declare', handle: 1, credentials: good },
  );
  return { pair, say };
}

function watchFrame(id: number, key: string, start = 0): ClientFrame {
  return { kind: 'watch', id, handle: 1, watch: wanted(key, start) };
}

/** A revision with one put. */
function whole(valueBytes: number): RevisionEvents {
  return { revision: revision(2), events: [put('k', 2, 'x'.repeat(valueBytes))] };
}

/** For a watch of whichever id. */
function eventsFrame(at: number, events: Uint8Array | null): Uint8Array {
  return encodeServerFrame({
    kind: 'events',
    ids: [1, 2, 3],
    raftTerm: 3,
    revision: at,
    events: events ?? utf8('none'),
  });
}

const large = 'x'.repeat(200_000);

describe('SESSION-WATCH-1: a watch is created at a revision, and gets every event from it on, once and in order', () => {
  it('from the present', () => {
    const { pair, handle } = open();
    pair.commit(put('k', 2));
    const { told } = watch(pair, handle, wanted('k'));
    pair.run(100);
    expect(told.from).toBe(3);
    pair.commit(put('k', 3), put('other', 3));
    pair.commit(removal('k', 4));
    pair.run(100);
    expect(told.heard).toEqual([3, 4]);
    expect(told.batches[0]).toEqual([{ revision: 3, events: [put('k', 3)] }]);
    expect(told.ats[0]).toEqual({ raftTerm: 3, revision: 3 });
  });

  it('from the past, and from a revision that is still to come', () => {
    const { pair, handle } = open();
    for (let at = 2; at < 5; at++) pair.commit(put('k', at));
    const past = watch(pair, handle, wanted('k', 3)).told;
    const later = watch(pair, handle, wanted('k', 7)).told;
    pair.run(100);
    for (let at = 5; at < 9; at++) pair.commit(put('k', at));
    pair.run(100);
    expect([past.from, later.from]).toEqual([3, 7]);
    expect(past.heard).toEqual([3, 4, 5, 6, 7, 8]);
    expect(later.heard).toEqual([7, 8]);
  });

  it('once the replica knows all that was acknowledged before, however long there is no leader', () => {
    const { pair, handle } = open();
    pair.catchUpMs = 60_000;
    const { told } = watch(pair, handle, wanted('k'));
    pair.run(59_000);
    expect(told.from).toBeNull();
    pair.commit(put('k', 2));
    pair.run(2_000);
    expect(told.from).toBe(3);
  });

  it('with its filters and previous values', () => {
    const { pair, handle } = open();
    const puts = watch(pair, handle, wanted('k', 0, { noDelete: true })).told;
    const deletes = watch(pair, handle, wanted('k', 0, { noPut: true, previous: true })).told;
    const without = watch(pair, handle, wanted('k', 0, { noPut: true })).told;
    pair.run(100);
    pair.commit(put('k', 2));
    pair.commit(removal('k', 3));
    pair.run(100);
    expect(puts.heard).toEqual([2]);
    expect(deletes.batches).toEqual([[{ revision: 3, events: [removal('k', 3)] }]]);
    expect(without.batches).toEqual([[{ revision: 3, events: [{ ...removal('k', 3), previous: null }] }]]);
  });
});

describe('SESSION-WATCH-2: like watches of a session share a frame, whose events are encoded once', () => {
  it('live, and from history', () => {
    const { pair, handle } = open();
    pair.commit(put('k', 2));
    const all = Array.from({ length: 100 }, () => watch(pair, handle, wanted('k', 2)).told);
    pair.run(100);
    pair.toClient.length = 0;
    pair.commit(put('k', 3, large));
    pair.run(100);
    expect(all.map(({ heard }) => heard)).toEqual(all.map(() => [2, 3]));
    const frames = framesTo(pair);
    expect(frames.map(({ kind }) => kind)).toEqual(['events']);
    expect(pair.toClient[0]?.byteLength).toBeLessThan(large.length + 1_000);
    expect(new Set(all.map(({ batches }) => batches[1])).size).toBe(1);
  });
});

describe('SESSION-WATCH-3: a watch without credit falls back to history, and goes on where it was', () => {
  it('holds nothing meanwhile', () => {
    const { pair, say } = stranger(250_000);
    say(watchFrame(1, 'k'));
    pair.run(100);
    for (let at = 2; at < 30; at++) {
      pair.commit(put('k', at, large));
      pair.run(1);
    }
    pair.run(1_000);
    const before = framesTo(pair).filter(({ kind }) => kind === 'events').length;
    expect(before).toBeGreaterThan(0);
    expect(before).toBeLessThan(4);
    expect(pair.held).toBeLessThan(3 * large.length);
    const revisions: number[] = [];
    for (let grants = 0; grants < 60; grants++) {
      say({ kind: 'credit', bytes: large.length });
      pair.run(100);
      expect(pair.held).toBeLessThan(4 * large.length);
    }
    for (const frame of framesTo(pair)) {
      if (frame.kind === 'events') revisions.push(...(decodeEvents(frame.events) ?? []).map((each) => each.revision));
    }
    expect(revisions).toEqual(Array.from({ length: 28 }, (_, place) => place + 2));
  });

  it('and a client that reads gets all, although it is slower than what is written', () => {
    const { pair, handle } = open();
    const { told } = watch(pair, handle, wanted('k'));
    pair.run(100);
    const count = Math.ceil((2 * sessionCreditBytes) / large.length);
    for (let at = 2; at < count + 2; at++) pair.commit(put('k', at, large));
    pair.run(5_000);
    expect(told.heard).toEqual(Array.from({ length: count }, (_, place) => place + 2));
  });

  it('and is cancelled with the compact revision where a compaction overtakes it', () => {
    const { pair, say } = stranger(1_000);
    say(watchFrame(1, 'k'), watchFrame(2, 'other'));
    pair.run(100);
    for (let at = 2; at < 9; at++) {
      pair.commit(put('k', at, large));
      pair.run(1);
    }
    pair.compact(6);
    pair.run(100);
    const canceled = framesTo(pair).filter(({ kind }) => kind === 'canceled');
    expect(canceled).toEqual([
      { kind: 'canceled', id: 1, next: 3, failure: { kind: 'compacted', compactedRevision: 6 } },
    ]);
    say({ kind: 'credit', bytes: 10 * large.length });
    pair.commit(put('other', 9));
    pair.run(100);
    expect(framesTo(pair).at(-1)).toMatchObject({ kind: 'events', ids: [2] });
  });
});

describe('SESSION-WATCH-4: after a wake, or on another connection, watches are declared anew from where they are', () => {
  const breaks = {
    'the object slept': (pair: SessionPair) => pair.sleep(),
    'the connection broke': (pair: SessionPair) => pair.cut(),
    'the connection broke and the object slept': (pair: SessionPair) => {
      pair.sleep();
      pair.cut();
    },
  };
  it.each(Object.entries(breaks))('%s', (_, happens) => {
    const { pair, handle } = open();
    pair.commit(put('k', 2));
    const live = watch(pair, handle, wanted('k')).told;
    const past = watch(pair, handle, wanted('k', 2)).told;
    const quiet = watch(pair, handle, wanted('quiet')).told;
    const future = watch(pair, handle, wanted('k', 6)).told;
    pair.run(100);
    pair.commit(put('k', 3));
    pair.run(100);
    happens(pair);
    pair.commit(put('k', 4));
    pair.run(3);
    pair.commit(put('k', 5), put('quiet', 5));
    pair.run(1_000);
    pair.commit(put('k', 6));
    pair.run(100);
    expect(live.heard).toEqual([3, 4, 5, 6]);
    expect(past.heard).toEqual([2, 3, 4, 5, 6]);
    expect(quiet.heard).toEqual([5]);
    expect(future.heard).toEqual([6]);
    expect(pair.openWatches.size).toBe(4);
  });

  it('also one that the client was not told of, and one whose events were lost on the way', () => {
    const { pair, handle } = open();
    const { told } = watch(pair, handle, wanted('k'));
    pair.run(latencyMs + 1);
    pair.cut();
    pair.run(1_000);
    expect(told.from).toBe(2);
    pair.commit(put('k', 2));
    pair.run(latencyMs - 1);
    pair.cut();
    pair.run(1_000);
    expect(told.heard).toEqual([2]);
    expect(told.interruptions).toBe(1 + 1);
  });

  it('after a wait with a random part, which grows', () => {
    const waits = [0, 1].map((random) => {
      const { pair, handle } = open();
      pair.random = random;
      watch(pair, handle, wanted('k'));
      pair.run(100);
      const { connections } = pair;
      pair.cut();
      let waitMs = 0;
      while (pair.connections === connections) {
        pair.run(1);
        waitMs++;
      }
      return waitMs;
    });
    expect(waits[0]).toBeLessThan(waits[1] ?? 0);
    const { pair, handle } = open();
    pair.refuses = true;
    watch(pair, handle, wanted('k'));
    pair.run(600_000);
    expect(pair.connections).toBeLessThan(600_000 / (sessionReconnectMsMax / 2) + 20);
    pair.refuses = false;
    pair.run(2 * sessionReconnectMsMax);
    expect(pair.openWatches.size).toBe(1);
  });

  it('and a quiet watch is told how far it is before the object sleeps, so a compaction does not end it', () => {
    const { pair, handle } = open();
    const { told, watch: own } = watch(pair, handle, wanted('k'));
    pair.run(100);
    for (let at = 2; at < 20; at++) pair.commit(put('other', at));
    pair.run(100);
    expect(own.next()).toBe(2);
    pair.server?.resting();
    pair.run(100);
    expect(own.next()).toBe(20);
    pair.compact(15);
    pair.sleep();
    pair.run(100);
    expect(told.end).toBeNull();
    pair.commit(put('k', 20));
    pair.run(100);
    expect(told.heard).toEqual(['up to 19', 20]);
  });
});

describe('SESSION-WATCH-5: progress comes once the watch was told all that was acknowledged before it was asked for', () => {
  it('behind the events, and once', () => {
    const { pair, handle } = open();
    for (let at = 2; at < 40; at++) pair.commit(put('k', at, large));
    const { told, watch: own } = watch(pair, handle, wanted('k', 2));
    own.askProgress();
    pair.run(5_000);
    expect(told.heard).toEqual([...Array.from({ length: 38 }, (_, place) => place + 2), 'up to 39']);
    pair.commit(put('other', 40));
    own.askProgress();
    pair.run(100);
    expect(told.heard.at(-1)).toBe('up to 40');
  });

  it('also where the connection broke before it came', () => {
    const { pair, handle } = open();
    const { told, watch: own } = watch(pair, handle, wanted('k'));
    pair.run(100);
    own.askProgress();
    pair.run(latencyMs + 1);
    pair.cut();
    pair.run(1_000);
    expect(told.heard).toEqual(['up to 1']);
  });

  it('and not while revisions before its start are missing', () => {
    const { pair, handle } = open();
    const { told, watch: own } = watch(pair, handle, wanted('k', 3));
    own.askProgress();
    pair.run(100);
    expect(told.heard).toEqual([]);
    pair.commit(put('other', 2));
    pair.run(100);
    pair.server?.tick();
    pair.run(100);
    expect(told.heard).toEqual(['up to 2']);
  });

  it('and to a quiet watch by itself, where it is news', () => {
    const { pair, handle } = open();
    const { told } = watch(pair, handle, wanted('k'));
    pair.run(100);
    pair.server?.tick();
    pair.commit(put('other', 2));
    for (const _ of [1, 2, 3]) {
      pair.run(watchQuietMs);
      pair.server?.tick();
    }
    pair.run(100);
    expect(told.heard).toEqual(['up to 2']);
  });
});

describe('SESSION-WATCH-6: a watch ends with its handle, and the watches of other handles go on', () => {
  it('when the credentials are no good any more', () => {
    const { pair, handle } = open();
    const second = pair.client.declare(other);
    const { told } = watch(pair, handle, wanted('k'));
    const { told: untouched } = watch(pair, second, wanted('k'));
    pair.run(100);
    pair.server?.endHandle(handle, { kind: 'accessKeyInvalid', given: 'other' });
    pair.commit(put('k', 2));
    pair.run(100);
    expect(told.end).toEqual({ failure: { kind: 'accessKeyInvalid', given: 'other' }, next: 2 });
    expect([told.heard, untouched.heard]).toEqual([[], [2]]);
    expect(pair.openWatches.size).toBe(1);
  });

  it('before it was created, when it may not read the range, and when there is no such handle', () => {
    const { pair, handle } = open();
    const refused = watch(pair, pair.client.declare({ kind: 'alone', text: 'bad' }), wanted('k')).told;
    const missing = watch(pair, 99, wanted('k')).told;
    pair.run(100);
    pair.watchFailure = { kind: 'accessKeyForbidden', need: 'a key that may read "k"' };
    const forbidden = watch(pair, handle, wanted('k')).told;
    pair.run(100);
    expect([refused, missing, forbidden].map(({ end }) => end?.failure.kind)).toEqual([
      'accessKeyInvalid',
      'accessKeyMissing',
      'accessKeyForbidden',
    ]);
    expect(pair.openWatches.size).toBe(0);
  });

  it('when the handle is released, and when its client cancels it', () => {
    const { pair, handle } = open();
    const second = pair.client.declare(other);
    const first = watch(pair, handle, wanted('k'));
    watch(pair, second, wanted('k'));
    pair.run(100);
    first.watch.cancel();
    pair.client.release(second);
    pair.commit(put('k', 2));
    pair.run(100);
    expect(first.told.heard).toEqual([]);
    expect(pair.openWatches.size).toBe(0);
  });
});

describe('SESSION-WATCH-7: a session has sessionWatchesMax watches, a frame sessionEventsBytesMax of events', () => {
  it('watches', () => {
    const { pair, handle } = open();
    const all = Array.from({ length: sessionWatchesMax }, () => watch(pair, handle, wanted('k')).told);
    pair.run(1_000);
    expect(all.every(({ from }) => from === 2)).toBe(true);
    const { told } = watch(pair, handle, wanted('k'));
    pair.run(100);
    const max = sessionWatchesMax;
    expect(told.end?.failure).toEqual({ kind: 'tooManyOpen', what: 'sessionWatch', of: 'session', max });
    pair.sleep();
    pair.run(1_000);
    expect(pair.openWatches.size).toBe(sessionWatchesMax);
  });

  it('bytes of a bound', () => {
    const { pair, handle } = open();
    const fits = watch(pair, handle, wanted('k'.repeat(rangeBoundBytesMax))).told;
    const long = watch(pair, handle, wanted('k'.repeat(rangeBoundBytesMax + 1))).told;
    pair.run(100);
    expect([fits.from, long.end?.failure.kind]).toEqual([2, 'badRequest']);
  });

  it('bytes of events', () => {
    const options = { previous: false, bytesMax: sessionEventsBytesMax };
    const beside = (encodeEvents([whole(1_048_576)], options)?.byteLength ?? 0) - 1_048_576;
    const most = sessionEventsBytesMax - beside - 1;
    expect(encodeEvents([whole(most)], options)?.byteLength).toBeLessThanOrEqual(sessionEventsBytesMax);
    const { pair, handle } = open();
    const { told } = watch(pair, handle, wanted('k'));
    const quiet = watch(pair, handle, wanted('other')).told;
    pair.run(100);
    pair.commit(put('k', 2, 'x'.repeat(most)));
    pair.run(1_000);
    expect(told.heard).toEqual([2]);
    pair.commit(put('k', 3, 'x'.repeat(most + 2)));
    pair.run(1_000);
    expect(told.end).toEqual({ failure: { kind: 'answerTooLarge' }, next: 3 });
    pair.commit(put('other', 4));
    pair.run(100);
    expect(quiet.heard).toEqual([4]);
  });

  it('memory', () => {
    const { pair, handle } = open();
    const { told } = watch(pair, handle, wanted('k'));
    pair.run(100);
    pair.heldMax = pair.held + 1_000;
    pair.commit(put('k', 2, large));
    pair.run(100);
    expect(told.end).toEqual({ failure: { kind: 'memoryFull', of: 'key' }, next: 2 });
    expect(pair.closedWith).toEqual([]);
  });
});

describe('SESSION-WATCH-8: a client that only watches notices a replica that is gone, and lets one that is there sleep', () => {
  it('asks seldom', () => {
    const { pair, handle } = open();
    const { told } = watch(pair, handle, wanted('k'));
    pair.run(1_000);
    const { length } = pair.toServer;
    pair.run(sessionWatchPingMs - 10_000);
    expect(pair.toServer.length).toBe(length);
    pair.run(20_000);
    expect(pair.toServer.length).toBe(length + 1);
    expect(told.interruptions).toBe(0);
    pair.silent = true;
    pair.run(sessionWatchPingMs + 3 * sessionSilentMs);
    expect(told.interruptions).toBeGreaterThan(0);
    pair.silent = false;
    pair.run(2 * sessionReconnectMsMax + 3 * sessionSilentMs);
    pair.commit(put('k', 2));
    pair.run(100);
    expect(told.heard).toEqual([2]);
  });

  it('and does not come back once it was closed', () => {
    const { pair, handle } = open();
    watch(pair, handle, wanted('k'));
    pair.run(100);
    pair.client.close();
    pair.run(10 * sessionWatchPingMs);
    expect(pair.connections).toBe(1);
  });
});

describe('SESSION-WATCH-9: events come out of a frame as they went in, and whatever the bytes are, they are a value', () => {
  const events: readonly StoreEvent[] = [
    put('a', 7, 'of a'),
    { ...put('b', 7), previous: put('b', 5).kv },
    removal('c', 7),
    { ...removal('d', 7), previous: null },
  ];
  const revisions = [
    { revision: revision(7), events },
    { revision: revision(9), events: [put('a', 9)] },
  ];
  const options = { bytesMax: sessionEventsBytesMax };

  it('with and without previous values', () => {
    expect(decodeEvents(encodeEvents(revisions, { ...options, previous: true }) ?? utf8('x'))).toEqual(revisions);
    const without = decodeEvents(encodeEvents(revisions, { ...options, previous: false }) ?? utf8('x'));
    expect(without?.flatMap((each) => each.events.map(({ previous }) => previous))).toEqual(Array(5).fill(null));
  });

  it('in the form that it has', () => {
    const [first] = revisions;
    const hex = Buffer.from(encodeEvents(first === undefined ? [] : [first], { ...options, previous: true }) ?? []);
    expect(hex.toString('hex')).toMatchInlineSnapshot(
      `"000161046f66206107070100020162017607070100016201760505010003016307016301760606010001016407"`,
    );
  });

  it('of random bytes', () => {
    const random = new Random(5);
    for (let run = 0; run < 2_000; run++) {
      const bytes = Uint8Array.from({ length: random.below(60) }, () => random.below(256));
      expect(() => decodeEvents(bytes)).not.toThrow();
      expect(() => decodeServerMessage(bytes)).not.toThrow();
    }
  });

  it('of a frame that cannot be read, after which nothing is told before the watch begins anew', () => {
    const { pair, handle } = open();
    const { told } = watch(pair, handle, wanted('k'));
    pair.run(100);
    const third = encodeEvents([{ revision: revision(3), events: [put('k', 3)] }], { ...options, previous: false });
    pair.tell(encodeMessage([eventsFrame(2, null), eventsFrame(3, third)]));
    pair.run(latencyMs);
    expect([told.heard, told.interruptions]).toEqual([[], 1]);
    pair.run(1_000);
    pair.commit(put('k', 2));
    pair.run(100);
    expect(told.heard).toEqual([2]);
  });

  it('of frames', () => {
    const header = { clusterId: '11', memberId: '12', raftTerm: 3, revision: 9 };
    const { pair, handle } = open();
    const { told } = watch(pair, handle, wanted('k'));
    pair.run(100);
    expect(framesTo(pair)).toContainEqual({ kind: 'created', id: expect.any(Number), header, from: 2 });
    expect(told.from).toBe(2);
  });
});

it('SESSION-WATCH-10: a watch hears why its replica ends the session, once, and nothing where it only broke', () => {
  const { pair, handle } = open();
  const { told } = watch(pair, handle, wanted('a'));
  pair.run(100);
  pair.server?.goAway({ kind: 'tenantDeleted' });
  pair.run(latencyMs);
  expect(told.reasons).toEqual(['tenantDeleted']);
  pair.run(1_000);
  pair.cut();
  expect(told.reasons).toEqual(['tenantDeleted', null]);
});

// A watch that goes on at another replica where its connection breaks, before replicas that say what the test says.

import { expect, it } from 'vitest';
import { frontBounds } from '../../../src/front/bounds.ts';
import { MovingWatch } from '../../../src/front/watch/moving-watch.ts';
import {
  frontWatchLostMs,
  frontWatchSocketUnsentBytesMax,
  frontWatchSocketUnsentBytesMin,
  frontWatchUnsentBytesMax,
} from '../../../src/limits.ts';
import type { FailureData } from '../../../src/model/calls.ts';
import type { WatchSink } from '../../../src/session/client-port.ts';
import type { SessionWatch } from '../../../src/session/watch-codec.ts';
import { shape } from '../../mvcc/watch/plain-history.ts';
import { header } from '../../session/session-pair.ts';

type Opened = { readonly replica: number; readonly watch: SessionWatch; readonly sink: WatchSink; next: number | null };

function stage() {
  const opened: Opened[] = [];
  const said: string[] = [];
  let nowMs = 0;
  let cancelled = 0;
  let questions = 0;
  const watch = new MovingWatch(
    { ...shape('a'), start: 0 },
    {
      created: ({ from, replica }) => void said.push(`from ${from} by ${replica}`),
      events: () => undefined,
      progress: ({ revision }) => void said.push(`up to ${revision}`),
      ended: (failure: FailureData) => void said.push(failure.kind),
      lost: () => void said.push('lost'),
    },
    {
      watchAt: (replica, wanted, sink) => {
        const one: Opened = { replica, watch: wanted, sink, next: null };
        opened.push(one);
        return { next: () => one.next, askProgress: () => void questions++, cancel: () => void cancelled++ };
      },
      first: () => 1,
      after: (replica) => (replica % 3) + 1,
      nowMs: () => nowMs,
    },
  );
  const last = (): Opened => {
    const one = opened.at(-1);
    if (one === undefined) throw new Error('nothing was opened');
    return one;
  };
  const create = (from: number): void => {
    last().next = from;
    last().sink.created({ header, from });
  };
  return {
    watch,
    opened,
    said,
    last,
    create,
    wait: (ms: number) => void (nowMs += ms),
    cancelled: () => cancelled,
    questions: () => questions,
  };
}

it('FRONT-37: a watch whose connection broke goes on at the next replica, from where it is, and its client is told nothing', () => {
  const { watch, opened, said, last, create, cancelled, questions } = stage();
  create(6);
  last().next = 9;
  watch.askProgress();
  last().sink.interrupted(null);
  expect(opened.map(({ replica, watch: { start } }) => [replica, start])).toEqual([
    [1, 0],
    [2, 9],
  ]);
  expect(watch.next()).toBe(9);
  create(9);
  // The question was not answered, so it is asked again.
  expect([cancelled(), questions()]).toEqual([1, 2]);
  last().sink.progress({ raftTerm: 1, revision: 8 });
  expect(said).toEqual(['from 6 by 1', 'up to 8']);
  watch.cancel();
  last().sink.interrupted(null);
  expect(opened).toHaveLength(2);
});

it('FRONT-37: a watch is lost where no replica could be reached for frontWatchLostMs, and not before', () => {
  const { said, last, wait, create, opened } = stage();
  create(6);
  last().sink.interrupted(null);
  wait(frontWatchLostMs - 1);
  last().sink.interrupted(null);
  expect(said).toEqual(['from 6 by 1']);
  wait(1);
  last().sink.interrupted(null);
  expect(said).toEqual(['from 6 by 1', 'lost']);
  expect(opened).toHaveLength(3);
});

it('FRONT-38: a watch of a tenant that was deleted ends, and is asked for nowhere else', () => {
  const { said, last, create, opened } = stage();
  create(6);
  last().sink.interrupted({ kind: 'tenantDeleted' });
  expect(said).toEqual(['from 6 by 1', 'tenantDeleted']);
  expect(opened).toHaveLength(1);
});

it('FRONT-36: the share of a socket is what all may have over those that are open, within its bounds', () => {
  const { watchUnsentBytesMax } = frontBounds;
  expect(watchUnsentBytesMax(1)).toBe(frontWatchSocketUnsentBytesMax);
  const most = frontWatchUnsentBytesMax / frontWatchSocketUnsentBytesMax;
  expect(watchUnsentBytesMax(most)).toBe(frontWatchSocketUnsentBytesMax);
  expect(watchUnsentBytesMax(most + 1)).toBeLessThan(frontWatchSocketUnsentBytesMax);
  const least = frontWatchUnsentBytesMax / frontWatchSocketUnsentBytesMin;
  expect(watchUnsentBytesMax(least)).toBe(frontWatchSocketUnsentBytesMin);
  expect(watchUnsentBytesMax(least + 1)).toBe(frontWatchSocketUnsentBytesMin);
});

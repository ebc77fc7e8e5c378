// Watches of clients, and the watches by session that serve them: replicas say what the test says.

import { describe, expect, it } from 'vitest';
import {
  type ClientSink,
  type ClientWatch,
  SharedWatches,
  type UpstreamSink,
} from '../../../src/front/watch/shared-watches.ts';
import { revision } from '../../../src/model/brands.ts';
import type { FailureData } from '../../../src/model/calls.ts';
import type { RevisionEvents } from '../../../src/model/store.ts';
import type { SessionWatch } from '../../../src/session/watch-codec.ts';
import { put, shape } from '../../mvcc/watch/plain-history.ts';
import { header } from '../../session/session-pair.ts';

type Opened = {
  readonly caller: string;
  readonly watch: SessionWatch;
  readonly sink: UpstreamSink;
  next: number | null;
  questions: number;
  cancelled: boolean;
};

class Stage {
  readonly opened: Opened[] = [];
  readonly watches = new SharedWatches<string>((caller, watch, sink) => {
    const opened: Opened = { caller, watch, sink, next: null, questions: 0, cancelled: false };
    this.opened.push(opened);
    return {
      next: () => opened.next,
      askProgress: () => void opened.questions++,
      cancel: () => {
        opened.cancelled = true;
      },
    };
  });

  get open(): Opened[] {
    return this.opened.filter(({ cancelled }) => !cancelled);
  }

  last(): Opened {
    const last = this.opened.at(-1);
    if (last === undefined) throw new Error('no watch was opened');
    return last;
  }

  /** The replica knows everything up to `at`, and created the watch. */
  create(opened: Opened, at: number, from = at + 1): void {
    opened.next = from;
    opened.sink.created({ header: { ...header, revision: at }, from, replica: 1 });
  }

  tell(opened: Opened, ...at: readonly number[]): void {
    opened.next = (at.at(-1) ?? 0) + 1;
    opened.sink.events(eventsAt(...at), { raftTerm: 3, revision: at.at(-1) ?? 0 });
  }

  progress(opened: Opened, at: number): void {
    opened.next = at + 1;
    opened.sink.progress({ raftTerm: 3, revision: at });
  }
}

function eventsAt(...at: readonly number[]): readonly RevisionEvents[] {
  return at.map((each) => ({ revision: revision(each), events: [put('a', each)] }));
}

class Told implements ClientSink {
  readonly heard: (number | string)[] = [];
  readonly batches: (readonly RevisionEvents[])[] = [];
  room = true;
  end: FailureData | null = null;
  isLost = false;

  readonly created: ClientSink['created'] = ({ from }) => void this.heard.push(`from ${from}`);
  readonly events: ClientSink['events'] = (revisions) => {
    this.batches.push(revisions);
    this.heard.push(...revisions.map((each) => Number(each.revision)));
  };
  readonly progress: ClientSink['progress'] = (at) => void this.heard.push(`up to ${at.revision}`);
  readonly ended: ClientSink['ended'] = (failure) => {
    this.end = failure;
  };
  readonly lost = (): void => {
    this.isLost = true;
  };
  readonly hasRoom = (): boolean => this.room;
}

function wanted(key: string, more: Partial<SessionWatch> = {}): SessionWatch {
  return { ...shape(key), start: 0, ...more };
}

function watch(stage: Stage, more: Partial<SessionWatch> = {}, caller = 'one'): { told: Told; client: ClientWatch } {
  const told = new Told();
  return { told, client: stage.watches.open(caller, wanted('a', more), told) };
}

describe('FRONT-33: like watches of one caller share a watch by session', () => {
  it('each begins with one of its own, and hears by the shared one from then on', () => {
    const stage = new Stage();
    const all = Array.from({ length: 5 }, () => {
      const { told } = watch(stage);
      stage.create(stage.last(), 5);
      return told;
    });
    expect(stage.open).toHaveLength(1);
    expect(stage.watches.upstreamCount).toBe(1);
    stage.tell(stage.opened[0] ?? stage.last(), 6, 7);
    for (const told of all) expect(told.heard).toEqual(['from 6', 6, 7]);
    // The very same events, so that their bytes are made once.
    expect(new Set(all.map(({ batches }) => batches[0])).size).toBe(1);
  });

  it('another caller, range, filter or wish for previous pairs has one of its own', () => {
    const stage = new Stage();
    const differences: readonly (readonly [Partial<SessionWatch>, string])[] = [
      [{}, 'one'],
      [{}, 'other'],
      [wanted('b'), 'one'],
      [{ noPut: true }, 'one'],
      [{ noDelete: true }, 'one'],
      [{ previous: true }, 'one'],
    ];
    for (const [more, caller] of differences) {
      watch(stage, more, caller);
      stage.create(stage.last(), 5);
    }
    expect(stage.open).toHaveLength(differences.length);
  });

  it('the last one that leaves ends it, and the next one begins anew', () => {
    const stage = new Stage();
    const all = [1, 2].map(() => {
      const { client } = watch(stage);
      stage.create(stage.last(), 5);
      return client;
    });
    for (const client of all) client.end();
    expect([stage.open.length, stage.watches.upstreamCount, stage.watches.count]).toEqual([0, 0, 0]);
    watch(stage);
    expect(stage.open).toHaveLength(1);
  });

  it('an end is told to each that hears by it', () => {
    const stage = new Stage();
    const all = [1, 2].map(() => {
      const { told } = watch(stage);
      stage.create(stage.last(), 5);
      return told;
    });
    stage.opened[0]?.sink.ended({ kind: 'forbidden' }, 6);
    expect(all.map(({ end }) => end?.kind)).toEqual(['forbidden', 'forbidden']);
    expect([stage.watches.upstreamCount, stage.watches.count]).toEqual([0, 0]);
    const { told } = watch(stage);
    stage.last().sink.lost();
    expect(told.isLost).toBe(true);
  });
});

describe('FRONT-34: a watch hears created where a replica has confirmed it, and only what is later', () => {
  it('what the shared watch still tells of before is passed over', () => {
    const stage = new Stage();
    const first = watch(stage);
    const shared = stage.last();
    stage.create(shared, 5);
    const second = watch(stage);
    // The replica has told the new watch that it knows of revision 9, and the shared one is behind.
    stage.create(stage.last(), 9);
    stage.tell(shared, 6, 8);
    stage.tell(shared, 9, 10);
    expect(first.told.heard).toEqual(['from 6', 6, 8, 9, 10]);
    expect(second.told.heard).toEqual(['from 10', 10]);
  });

  it('before it is created it hears nothing', () => {
    const stage = new Stage();
    watch(stage);
    const shared = stage.last();
    stage.create(shared, 5);
    const second = watch(stage);
    stage.tell(shared, 6);
    expect(second.told.heard).toEqual([]);
    stage.create(stage.last(), 6);
    expect(second.told.heard).toEqual(['from 7']);
  });

  it('one from the past reads history by its own watch, and joins where the shared one is', () => {
    const stage = new Stage();
    watch(stage);
    const shared = stage.last();
    stage.create(shared, 5);
    const late = watch(stage, { start: 2 });
    const own = stage.last();
    stage.create(own, 5, 2);
    expect(own.questions).toBe(1);
    stage.tell(own, 2, 3);
    stage.tell(shared, 6);
    stage.tell(own, 4, 5);
    expect(own.cancelled).toBe(false);
    stage.tell(own, 6);
    expect(own.cancelled).toBe(true);
    stage.tell(shared, 7);
    expect(late.told.heard).toEqual(['from 2', 2, 3, 4, 5, 6, 7]);
  });

  it('a watch from the past is shared by nobody before it has caught up', () => {
    const stage = new Stage();
    watch(stage, { start: 1 });
    const own = stage.last();
    stage.create(own, 5, 1);
    watch(stage);
    stage.create(stage.last(), 5);
    expect(stage.open).toHaveLength(2);
    stage.progress(own, 5);
    expect(stage.open).toHaveLength(1);
  });

  it('one of the future gets neither events nor progress before its first revision', () => {
    const stage = new Stage();
    const early = watch(stage, { start: 9 });
    stage.create(stage.last(), 5, 9);
    watch(stage);
    const shared = stage.last();
    stage.create(shared, 5);
    early.client.askProgress();
    expect(early.client.told()).toBeNull();
    for (const { sink } of stage.open) sink.progress({ raftTerm: 3, revision: 5 });
    for (const each of stage.open) stage.tell(each, 6, 8);
    for (const each of stage.open) stage.tell(each, 9);
    expect(early.told.heard).toEqual(['from 9', 9]);
    expect(early.client.told()).toBe(9);
    // Once it was told as much as the shared one, it hears by that.
    expect(stage.open).toHaveLength(1);
  });

  it('one whose replica is behind the one that tells the shared watch goes on by its own', () => {
    const stage = new Stage();
    watch(stage);
    const shared = stage.last();
    stage.create(shared, 5);
    stage.tell(shared, 6, 7);
    const second = watch(stage);
    const own = stage.last();
    stage.create(own, 5);
    expect(own.cancelled).toBe(false);
    stage.tell(own, 6);
    stage.tell(own, 7);
    expect(own.cancelled).toBe(true);
    stage.tell(shared, 8);
    expect(second.told.heard).toEqual(['from 6', 6, 7, 8]);
  });
});

describe('FRONT-35: progress is asked for after the request, and comes behind the events before it', () => {
  it('who asks while a question is under way gets the answer to the next one', () => {
    const stage = new Stage();
    const [first, second] = [watch(stage), watch(stage)];
    const shared = stage.opened[0] ?? stage.last();
    for (const opened of stage.opened) stage.create(opened, 5);
    first.client.askProgress();
    expect(shared.questions).toBe(1);
    second.client.askProgress();
    stage.tell(shared, 6);
    stage.progress(shared, 6);
    expect(first.told.heard).toEqual(['from 6', 6, 'up to 6']);
    expect(second.told.heard).toEqual(['from 6', 6]);
    expect(shared.questions).toBe(2);
    stage.progress(shared, 8);
    expect(second.told.heard).toEqual(['from 6', 6, 'up to 8']);
    expect(first.told.heard).toHaveLength(3);
    expect(second.client.told()).toBe(8);
  });

  it('progress that nobody asked for moves where a watch is, and is told to nobody', () => {
    const stage = new Stage();
    const { told, client } = watch(stage);
    stage.create(stage.last(), 5);
    stage.progress(stage.last(), 7);
    expect(told.heard).toEqual(['from 6']);
    expect(client.told()).toBe(7);
  });

  it('a question goes with its watch to another watch by session', () => {
    const stage = new Stage();
    const shared = watch(stage);
    const first = stage.last();
    stage.create(first, 5);
    const late = watch(stage, { start: 5 });
    const own = stage.last();
    late.client.askProgress();
    stage.create(own, 5, 5);
    stage.tell(own, 5);
    expect(own.cancelled).toBe(true);
    stage.progress(first, 5);
    expect(late.told.heard).toEqual(['from 5', 5, 'up to 5']);
    expect(shared.told.heard).toEqual(['from 6']);
  });
});

describe('FRONT-36: a client that does not keep up loses time, and nothing else', () => {
  it('it leaves the shared watch, holds nothing, and goes on by one of its own from where it is', () => {
    const stage = new Stage();
    const [quick, slow] = [watch(stage), watch(stage)];
    const shared = stage.opened[0] ?? stage.last();
    for (const opened of stage.opened) stage.create(opened, 5);
    stage.tell(shared, 6);
    slow.told.room = false;
    stage.tell(shared, 7);
    stage.tell(shared, 8, 9);
    expect(quick.told.heard).toEqual(['from 6', 6, 7, 8, 9]);
    expect(slow.told.heard).toEqual(['from 6', 6]);
    expect(stage.open).toHaveLength(1);
    slow.told.room = true;
    slow.client.goOn();
    slow.client.goOn();
    const own = stage.last();
    expect([own.watch.start, stage.open.length]).toEqual([7, 2]);
    stage.create(own, 9, 7);
    stage.tell(own, 7, 8);
    slow.told.room = false;
    stage.tell(own, 9);
    expect(own.cancelled).toBe(true);
    slow.told.room = true;
    slow.client.goOn();
    stage.create(stage.last(), 9, 9);
    stage.tell(stage.last(), 9);
    stage.tell(shared, 10);
    expect(slow.told.heard).toEqual(['from 6', 6, 7, 8, 9, 10]);
    expect(stage.open).toHaveLength(1);
  });

  it('a compaction that overtakes it ends it', () => {
    const stage = new Stage();
    const { told, client } = watch(stage);
    stage.create(stage.last(), 5);
    told.room = false;
    stage.tell(stage.last(), 6);
    expect(stage.watches.upstreamCount).toBe(0);
    told.room = true;
    client.goOn();
    stage.create(stage.last(), 50, 6);
    stage.last().sink.ended({ kind: 'compacted', compactedRevision: 40 }, 6);
    expect(told.end).toEqual({ kind: 'compacted', compactedRevision: 40 });
    expect(told.heard).toEqual(['from 6']);
  });
});

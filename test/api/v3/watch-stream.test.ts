// The machine of etcd's watch streams over a source that answers later, in whatever order the test says. Over a hub,
// which answers at once, it is tested as a replica has it (`test/replica/watch/watch-v3-stream.test.ts`).

import { describe, expect, it } from 'vitest';
import { decodeWatchRequest, watchResponse } from '../../../src/api/v3/watch.ts';
import { jsonEvents } from '../../../src/api/v3/watch-events.ts';
import { type StreamWatch, WatchStream } from '../../../src/api/v3/watch-stream.ts';
import { base64, utf8 } from '../../../src/base/bytes.ts';
import { watchProgressNotifyMs } from '../../../src/limits.ts';
import { revision } from '../../../src/model/brands.ts';
import type { ResponseHeader } from '../../../src/model/calls.ts';
import { header } from '../../replica/watch/memory-channel.ts';
import { put } from '../../mvcc/watch/plain-history.ts';

type Watch = StreamWatch<number>;

class Stage {
  readonly opened: Watch[] = [];
  readonly ended: Watch[] = [];
  readonly positions: ((at: ResponseHeader) => void)[] = [];
  readonly questions: ((at: ResponseHeader) => void)[] = [];
  readonly #said: string[] = [];
  readonly stream: WatchStream<number, string>;

  constructor(watchesMax = 10) {
    this.stream = new WatchStream<number, string>(
      {
        open: (watch) => {
          watch.handle = this.opened.push(watch);
        },
        end: (watch) => void this.ended.push(watch),
        changed: () => undefined,
        goOn: () => undefined,
        position: (then) => void this.positions.push(then),
        header: () => header(5),
        askProgress: (_, then) => void this.questions.push(then),
        progressOf: () => header(6),
      },
      { ...jsonEvents, write: (at, answer, events) => void this.#said.push(watchResponse(at, answer, events ?? '')) },
      watchesMax,
    );
  }

  say(request: object): void {
    expect(this.stream.take(decodeWatchRequest(JSON.stringify(request)))).toBeNull();
  }

  create(id = 0, more: object = {}): Watch {
    this.say({ create_request: { key: base64(utf8('k')), watch_id: String(id), ...more } });
    const last = this.opened.at(-1);
    if (last === undefined) throw new Error('no watch was opened');
    return last;
  }

  /** What was said since the last call: the id and the rest, at which revision. */
  get heard(): string[] {
    return this.#said.splice(0).map((text) => {
      const { result } = JSON.parse(text);
      const { header: at, watch_id: id = '0', events, ...rest } = result;
      const told = events === undefined ? [] : [`events ${events.length}`];
      return [`${id}@${at.revision}`, ...Object.keys(rest), ...told].join(' ');
    });
  }
}

describe('API-V3-50: the answers of a stream come in the order of its requests, whenever its watches are created', () => {
  it('ids are given as etcd gives them', () => {
    const stage = new Stage();
    const [first, chosen, counted] = [stage.create(), stage.create(1), stage.create()];
    stage.stream.created(counted, header(7));
    stage.stream.created(chosen, header(6));
    expect(stage.heard).toEqual([]);
    stage.stream.created(first, header(5));
    expect(stage.heard).toEqual(['0@5 created', '1@6 created', '2@7 created']);
  });

  it('a refused watch takes no id, and a second one of the same id ends', () => {
    const stage = new Stage();
    const [refused, first, second] = [stage.create(), stage.create(7), stage.create(7)];
    const last = stage.create();
    for (const watch of [first, second, last]) stage.stream.created(watch, header(5));
    stage.stream.refused(refused, 'no');
    expect(stage.heard).toEqual([]);
    stage.positions[0]?.(header(9));
    expect(stage.heard).toEqual([
      '-1@9 created canceled cancel_reason',
      '7@5 created',
      '-1@5 created canceled cancel_reason',
      '0@5 created',
    ]);
    expect(stage.ended).toEqual([second]);
  });

  it('a cancel comes behind the watch that it cancels, at the position of the store', () => {
    const stage = new Stage();
    const watch = stage.create(3);
    stage.say({ cancel_request: { watch_id: '3' } });
    stage.positions[0]?.(header(8));
    expect([stage.heard, stage.stream.waitingCount]).toEqual([[], 2]);
    stage.stream.created(watch, header(7));
    expect(stage.heard).toEqual(['3@7 created', '3@8 canceled']);
    expect(stage.ended).toEqual([watch]);
    stage.say({ cancel_request: { watch_id: '3' } });
    stage.positions[1]?.(header(8));
    expect(stage.heard).toEqual([]);
  });

  it('progress is asked for once the watches before it are there, and of a stream without one never', () => {
    const stage = new Stage();
    stage.say({ progress_request: {} });
    const watch = stage.create();
    stage.say({ progress_request: {} });
    expect(stage.questions).toHaveLength(0);
    stage.stream.created(watch, header(5));
    expect(stage.questions).toHaveLength(1);
    stage.questions[0]?.(header(6));
    expect(stage.heard).toEqual(['0@5 created', '-1@6']);
  });

  it('an end that comes before the watch was announced is told behind that', () => {
    const stage = new Stage();
    const [first, gone] = [stage.create(), stage.create()];
    stage.stream.created(gone, header(5));
    stage.stream.ended(gone, { kind: 'compacted', compactedRevision: 4 });
    expect(stage.stream.isAnnounced(gone)).toBe(false);
    stage.stream.created(first, header(5));
    expect(stage.heard).toEqual(['0@5 created', '1@5 created', '1@undefined canceled compact_revision']);
    expect([...stage.stream.watches.keys()]).toEqual([0n]);
  });

  it('a stream that was left says nothing more', () => {
    const stage = new Stage();
    const watch = stage.create();
    stage.say({ cancel_request: {} });
    stage.stream.dispose();
    stage.positions[0]?.(header(5));
    stage.stream.created(watch, header(5));
    expect([stage.heard, stage.ended]).toEqual([[], [watch]]);
  });
});

describe('API-V3-51: a watch is told its events, and how far it is while it is quiet', () => {
  it('progress_notify is told by each watch that was quiet for so long', () => {
    const stage = new Stage();
    const [quiet, loud] = [stage.create(0, { progress_notify: true }), stage.create(0, { progress_notify: true })];
    stage.create();
    for (const watch of stage.opened) stage.stream.created(watch, header(5));
    expect([quiet.id, loud.id]).toEqual([0n, 1n]);
    stage.stream.tick(0);
    stage.stream.tick(watchProgressNotifyMs);
    stage.stream.events(loud, [{ revision: revision(6), events: [put('k', 6)] }], header(6));
    void stage.heard;
    stage.stream.tick(2 * watchProgressNotifyMs);
    expect(stage.heard).toEqual(['0@6']);
  });

  it('more watches than a stream holds are refused, also while they are created', () => {
    const stage = new Stage(2);
    stage.create();
    stage.create();
    stage.create();
    expect(stage.opened).toHaveLength(2);
    for (const watch of stage.opened) stage.stream.created(watch, header(5));
    stage.positions[0]?.(header(5));
    expect(stage.heard).toEqual(['0@5 created', '1@5 created', '-1@5 created canceled cancel_reason']);
  });

  it('the end of a stream is told to each of its watches', () => {
    const stage = new Stage();
    for (const watch of [stage.create(), stage.create(4)]) stage.stream.created(watch, header(5));
    stage.create(5);
    void stage.heard;
    stage.stream.end('why');
    expect(stage.heard).toEqual(['0@5 canceled cancel_reason', '4@5 canceled cancel_reason']);
    expect(stage.ended).toHaveLength(3);
  });
});

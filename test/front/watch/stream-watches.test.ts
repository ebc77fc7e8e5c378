// The watches of a stream of etcd's at the front: replicas say what the test says.

import { describe, expect, it } from 'vitest';
import type { Failure } from '../../../src/api/errors/errors.ts';
import { decodeWatchRequest, watchResponse } from '../../../src/api/v3/watch.ts';
import { jsonEvents } from '../../../src/api/v3/watch-events.ts';
import type { WantedWatch } from '../../../src/api/v3/watch-stream.ts';
import { base64, utf8 } from '../../../src/base/bytes.ts';
import type { ClientSink } from '../../../src/front/watch/shared-watches.ts';
import { StreamWatches } from '../../../src/front/watch/stream-watches.ts';
import { frontProgressWaitingMax, rangeBoundBytesMax } from '../../../src/limits.ts';
import { revision } from '../../../src/model/brands.ts';
import type { FailureData, ResponseHeader } from '../../../src/model/calls.ts';
import { put } from '../../mvcc/watch/plain-history.ts';
import { header as shortHeader } from '../../replica/watch/memory-channel.ts';

const header = (at: number): ResponseHeader => shortHeader(at);

type Opened = {
  readonly wanted: WantedWatch;
  readonly sink: ClientSink;
  told: number | null;
  questions: number;
  goesOn: number;
  isOver: boolean;
};

class Stage {
  readonly opened: Opened[] = [];
  readonly positions: ((at: ResponseHeader | null) => void)[] = [];
  room = true;
  lost = 0;
  ended: Failure | null = null;
  readonly #said: string[] = [];
  readonly stream: StreamWatches<string>;

  constructor() {
    this.stream = new StreamWatches<string>(
      {
        open: (wanted, sink) => {
          const opened: Opened = { wanted, sink, told: null, questions: 0, goesOn: 0, isOver: false };
          this.opened.push(opened);
          return {
            told: () => opened.told,
            askProgress: () => void opened.questions++,
            goOn: () => void opened.goesOn++,
            end: () => {
              opened.isOver = true;
            },
          };
        },
        position: (then) => void this.positions.push(then),
        hasRoom: () => this.room,
        accessEnded: (failure) => {
          this.ended = failure;
        },
        lost: () => void this.lost++,
      },
      { ...jsonEvents, write: (at, answer, events) => void this.#said.push(watchResponse(at, answer, events ?? '')) },
      header(5),
    );
  }

  say(request: object): void {
    expect(this.stream.take(decodeWatchRequest(JSON.stringify(request)))).toBeNull();
  }

  /** Begins a watch that a replica creates, unless `isSilent`. */
  create(more: object = {}, isSilent = false): Opened {
    this.say({ create_request: { key: base64(utf8('k')), ...more } });
    const opened = this.opened.at(-1);
    if (opened === undefined) throw new Error('no watch was opened');
    if (!isSilent) this.created(opened, 5);
    return opened;
  }

  created(opened: Opened, at: number, from = at + 1): void {
    opened.told = from - 1;
    opened.sink.created({ header: header(at), from, replica: 2 });
  }

  tell(opened: Opened, at: number): void {
    if (!opened.sink.hasRoom()) return;
    opened.told = at;
    opened.sink.events([{ revision: revision(at), events: [put('k', at)] }], { raftTerm: 4, revision: at });
  }

  progress(opened: Opened, at: number): void {
    opened.told = at;
    opened.sink.progress({ raftTerm: 3, revision: at });
  }

  refuse(opened: Opened, failure: FailureData): void {
    opened.sink.ended(failure, null);
    for (const then of this.positions.splice(0)) then(header(9));
  }

  get heard(): string[] {
    return this.#said.splice(0).map((text) => {
      const { header: at, watch_id: id = '0', cancel_reason: reason, events, ...rest } = JSON.parse(text).result;
      const told = [...Object.keys(rest), ...(events === undefined ? [] : ['events']), ...(reason ? [reason] : [])];
      return [`${id}@${at.revision ?? 0}`, ...told].join(' ');
    });
  }
}

describe('FRONT-50: a watch of an etcd stream that is refused has the words of etcd, and ends no other', () => {
  const refusals: Readonly<Record<string, readonly [FailureData, object, string]>> = {
    'a right that a role lacks': [
      { kind: 'permissionDenied' },
      {},
      'rpc error: code = PermissionDenied desc = etcdserver: permission denied',
    ],
    'a token that is no good': [
      { kind: 'invalidToken' },
      {},
      'rpc error: code = Unauthenticated desc = etcdserver: invalid auth token',
    ],
    'an empty range': [
      { kind: 'badRequest', detail: 'no key lies between start and end' },
      { key: base64(utf8('b')), range_end: base64(utf8('a')) },
      'mvcc: watcher range is empty',
    ],
    'a replica that is full': [{ kind: 'overloaded' }, {}, 'quorate: this replica serves as many watches as it can'],
    'a tenant that has as many as it may': [
      { kind: 'tooManyOpen', what: 'sessionWatch', of: 'tenant', max: 3 },
      {},
      'quorate: the tenant has as many watches on this replica as its operator lets it have, end some',
    ],
  };
  it.each(Object.entries(refusals))('%s', (_, [failure, more, words]) => {
    const stage = new Stage();
    const other = stage.create({ watch_id: '7' });
    void stage.heard;
    stage.refuse(stage.create(more, true), failure);
    expect(stage.heard).toEqual([`-1@9 created canceled ${words}`]);
    expect([stage.lost, stage.ended, other.isOver]).toEqual([0, null, false]);
  });

  it('a start before all revisions asks no replica for a watch', () => {
    const stage = new Stage();
    stage.say({ create_request: { key: base64(utf8('k')), start_revision: '-1' } });
    stage.positions[0]?.(null);
    expect(stage.opened).toHaveLength(0);
    expect(stage.heard).toEqual(['-1@5 created canceled etcdserver: mvcc: required revision has been compacted']);
  });

  it('what a session can say of a watch is said: bounds as long as keys, a start as large as numbers', () => {
    const stage = new Stage();
    const long = base64(utf8('x'.repeat(5_000)));
    const { wanted } = stage.create({ key: long, range_end: long, start_revision: '9223372036854775807' });
    expect(wanted.range.key.byteLength).toBe(rangeBoundBytesMax);
    expect(wanted.range.rangeEnd.byteLength).toBe(rangeBoundBytesMax);
    expect(Number.isSafeInteger(wanted.start)).toBe(true);
  });
});

describe('FRONT-51: the progress of an etcd stream is that of all its watches', () => {
  it('each is asked after the request, and the answer has the lowest revision', () => {
    const stage = new Stage();
    const [first, second] = [stage.create(), stage.create()];
    void stage.heard;
    stage.say({ progress_request: {} });
    stage.progress(first, 9);
    stage.tell(second, 7);
    expect(stage.heard).toEqual(['1@7 events']);
    stage.progress(second, 8);
    expect(stage.heard).toEqual(['-1@8']);
    expect([first.questions, second.questions]).toEqual([1, 1]);
  });

  it('those who ask meanwhile get the answer to the next question, as many as may wait', () => {
    const stage = new Stage();
    const watch = stage.create();
    void stage.heard;
    for (let count = 0; count < frontProgressWaitingMax + 2; count++) stage.say({ progress_request: {} });
    stage.progress(watch, 5);
    expect([stage.heard, watch.questions]).toEqual([['-1@5'], 2]);
    stage.progress(watch, 6);
    expect(stage.heard).toEqual(Array.from({ length: frontProgressWaitingMax }, () => '-1@6'));
  });

  it('there is none before the start of a watch, and one that ends is waited for no longer', () => {
    const stage = new Stage();
    const [first, gone] = [stage.create(), stage.create()];
    stage.say({ progress_request: {} });
    stage.progress(first, 6);
    stage.say({ cancel_request: { watch_id: '1' } });
    stage.positions[0]?.(header(6));
    expect(stage.heard.slice(2)).toEqual(['-1@6', '1@6 canceled']);
    expect(gone.isOver).toBe(true);
    const early = stage.create({ start_revision: '7' });
    early.told = 6;
    void stage.heard;
    stage.say({ progress_request: {} });
    expect(first.questions).toBe(1);
    expect(stage.heard).toEqual([]);
  });
});

describe('FRONT-52: the client of an etcd stream hears the events of each watch behind its creation', () => {
  it('of a watch that waits for an earlier one nothing is told before, and nothing is lost', () => {
    const stage = new Stage();
    const [first, second] = [stage.create({}, true), stage.create({}, true)];
    stage.created(second, 5);
    stage.tell(second, 6);
    expect([stage.heard, second.goesOn]).toEqual([[], 0]);
    stage.created(first, 6);
    expect(stage.heard).toEqual(['0@6 created', '1@5 created']);
    expect(second.goesOn).toBe(1);
  });

  it('a client that is behind is handed nothing, and each such watch goes on when there is room', () => {
    const stage = new Stage();
    const watch = stage.create();
    void stage.heard;
    stage.room = false;
    stage.tell(watch, 6);
    stage.stream.goOn();
    expect([stage.heard, watch.goesOn]).toEqual([[], 0]);
    stage.room = true;
    stage.stream.goOn();
    stage.stream.goOn();
    expect(watch.goesOn).toBe(1);
  });

  it('a compaction and a revision that fits no message end the one watch', () => {
    const stage = new Stage();
    const [compacted, large] = [stage.create(), stage.create()];
    stage.create();
    void stage.heard;
    compacted.sink.ended({ kind: 'compacted', compactedRevision: 4 }, 3);
    large.sink.ended({ kind: 'answerTooLarge' }, 8);
    expect(stage.heard).toEqual([
      '0@0 canceled compact_revision',
      '1@5 canceled quorate: the events of revision 8 do not fit a message, watch without prev_kv',
    ]);
    expect([stage.ended, stage.lost]).toEqual([null, 0]);
  });
});

describe('FRONT-53: an etcd stream ends with the access of its caller, and where no replica serves it', () => {
  it('each watch is told the reason, once', () => {
    const stage = new Stage();
    const [first, second] = [stage.create(), stage.create()];
    void stage.heard;
    first.sink.ended({ kind: 'unauthenticated', reason: 'revoked' }, 6);
    second.sink.ended({ kind: 'unauthenticated', reason: 'revoked' }, 6);
    const words = 'canceled rpc error: code = Unauthenticated desc = quorate: The access key is revoked.';
    expect(stage.heard).toEqual([`0@5 ${words}`, `1@5 ${words}`]);
    expect(stage.ended?.kind).toBe('unauthenticated');
    expect(second.isOver).toBe(true);
  });

  it('a client whose replicas are gone, or have no room for a watch that is open, is to ask anew', () => {
    for (const end of ['lost', 'overloaded'] as const) {
      const stage = new Stage();
      const [first, second] = [stage.create(), stage.create()];
      void stage.heard;
      if (end === 'lost') first.sink.lost();
      else first.sink.ended({ kind: end }, 6);
      second.sink.lost();
      expect([stage.heard, stage.lost]).toEqual([[], 1]);
    }
  });
});

it('FRONT-54: those who need the position of the store while it is asked for share the next answer', () => {
  const stage = new Stage();
  for (const id of ['1', '2', '3']) stage.create({ watch_id: id });
  void stage.heard;
  for (const id of ['1', '2', '3']) stage.say({ cancel_request: { watch_id: id } });
  expect(stage.positions).toHaveLength(1);
  stage.positions[0]?.(header(6));
  expect(stage.heard).toEqual(['1@6 canceled']);
  stage.positions[1]?.(header(8));
  expect(stage.heard).toEqual(['2@8 canceled', '3@8 canceled']);
  expect(stage.positions).toHaveLength(2);
});

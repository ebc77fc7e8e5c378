// The messages of etcd's Watch by gRPC beside the same in the JSON of v3.

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { expect, it } from 'vitest';
import { decodeWatchMessage, grpcEvents, watchMessage, watchPath } from '../../../src/api/grpc/watch-messages.ts';
import { jsonOfMessage, messageOfJson, methodAt } from '../../../src/api/grpc/schema.ts';
import { decodeWatchRequest, type WatchAnswer, watchResponse } from '../../../src/api/v3/watch.ts';
import { jsonEvents } from '../../../src/api/v3/watch-events.ts';
import { watchEventsBytesMax, watchFragmentBytesMax } from '../../../src/limits.ts';
import { leaseId, revision } from '../../../src/model/brands.ts';
import type { RevisionEvents, StoreEvent } from '../../../src/model/store.ts';
import { put, removal } from '../../mvcc/watch/plain-history.ts';
import { Random } from '../../support/random.ts';

const method = methodAt(watchPath);
if (method === null) throw new Error('there is no watch');
const { input, output } = method;

function bytesOf(json: string): Uint8Array {
  const bytes = messageOfJson(input, json);
  if (bytes === null) throw new Error(json);
  return bytes;
}

it('GRPC-14: a request of a watch is the same as the one that is read from the JSON of v3', () => {
  const random = new Random(7);
  const ids = ['0', '1', '-1', '9223372036854775807', '-9223372036854775808'];
  const pick = <Item>(items: readonly Item[]): Item => {
    const item = items[random.below(items.length)];
    if (item === undefined) throw new Error('nothing to pick');
    return item;
  };
  for (let round = 0; round < 2_000; round++) {
    const all: Readonly<Record<string, unknown>> = {
      key: pick(['', 'a', 'YQ==', 'AA=='])
        .padEnd(4, '=')
        .replace(/^a?=+$/, ''),
      range_end: pick(['', 'AA==', 'Yg==']),
      start_revision: pick(['0', '1', '-5', '9223372036854775807']),
      progress_notify: random.chance(0.5),
      filters: pick([[], ['NOPUT'], ['NODELETE'], ['NOPUT', 'NODELETE'], [7]]),
      prev_kv: random.chance(0.5),
      watch_id: pick(ids),
      fragment: random.chance(0.5),
    };
    const some = Object.fromEntries(Object.entries(all).filter(() => random.chance(0.7)));
    const request = pick<object>([
      { create_request: some },
      { create_request: some },
      { cancel_request: { watch_id: pick(ids) } },
      { progress_request: {} },
      {},
    ]);
    const json = JSON.stringify(request);
    expect(decodeWatchMessage(bytesOf(json)), json).toEqual(decodeWatchRequest(json));
  }
  expect(decodeWatchMessage(Uint8Array.of(0x0a, 0x7f))).toBeNull();
  const unknown = toBinary(input, create(input));
  expect(decodeWatchMessage(Uint8Array.of(...unknown, 0xf8, 0x07, 1))).toEqual({ kind: 'none' });
});

const revisions: readonly RevisionEvents[] = [
  { revision: revision(7), events: [put('a', 7), removal('b', 7)] },
  { revision: revision(8), events: [overwritten(8)] },
];

function overwritten(at: number): StoreEvent {
  const { kv } = put('c', at, '');
  const pair = { ...kv, createRevision: revision(3), version: 4, lease: leaseId(-1n) };
  return { type: 'put', kv: pair, previous: put('c', 3, 'former').kv };
}

it('GRPC-14: its answers are those of v3 as protobuf', () => {
  const headers = [
    { clusterId: '17204034890023044774', memberId: '2', raftTerm: 3, revision: 9 },
    { clusterId: '1', memberId: '9223372036854775808', raftTerm: 0, revision: 0 },
  ];
  const answers: readonly WatchAnswer[] = [
    { watchId: 0n },
    { watchId: -1n },
    { watchId: 9_223_372_036_854_775_807n, created: true },
    { watchId: -1n, created: true, canceled: true, cancelReason: 'wörds' },
    { watchId: 2n, canceled: true, compactRevision: 7 },
    { watchId: 3n, fragment: true },
  ];
  for (const header of headers) {
    for (const answer of answers) {
      for (const previous of [true, false]) {
        for (const told of [[], revisions]) {
          const bytes = watchMessage(header, answer, grpcEvents.whole(told, previous));
          const json = watchResponse(header, answer, jsonEvents.whole(told, previous) ?? '');
          const expected = messageOfJson(output, JSON.stringify(JSON.parse(json).result));
          expect(fromBinary(output, bytes)).toEqual(fromBinary(output, expected ?? new Uint8Array()));
        }
      }
    }
  }
});

it('GRPC-14: events that do not fit a message are none, and fragments are cut where etcd cuts them', () => {
  const value = 'x'.repeat(watchFragmentBytesMax / 2);
  const large = [{ revision: revision(2), events: [put('a', 2, value), put('b', 2, value), put('c', 2, 'y')] }];
  const parts = grpcEvents.fragments(large, false) ?? [];
  const keys = parts.map((part) => jsonOfMessage(output, part)?.match(/"key"/g)?.length);
  expect(keys).toEqual([1, 2]);
  const events = Array.from({ length: watchEventsBytesMax / value.length + 1 }, () => put('a', 2, value));
  expect(grpcEvents.whole([{ revision: revision(2), events }], false)).toBeNull();
  expect(grpcEvents.fragments([{ revision: revision(2), events }], false)).toBeNull();
});

it('GRPC-14: the bytes of events are made once for all watches that are told the same', () => {
  expect(grpcEvents.whole(revisions, true)).toBe(grpcEvents.whole(revisions, true));
  expect(grpcEvents.whole(revisions, true)).not.toEqual(grpcEvents.whole(revisions, false));
});

// The messages of etcd's Watch: requests out of protobuf, and answers into it. The bytes of events are made once for
// all watches that are told the same, and only what is around them differs.

import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { assert, unreachable } from '../../base/assert.ts';
import { joinBytes } from '../../base/bytes.ts';
import { EncodedOnce } from '../../base/encoded-once.ts';
import { watchEventsBytesMax } from '../../limits.ts';
import { noLease } from '../../model/brands.ts';
import type { ResponseHeader } from '../../model/calls.ts';
import type { KeyValue, RevisionEvents, StoreEvent } from '../../model/store.ts';
import { cutFragments } from '../v3/watch-events.ts';
import { type WatchAnswer, watchFilter, type WatchRequest, withKey } from '../v3/watch.ts';
import { decodedMessage, methodAt } from './schema.ts';

export const watchPath = '/etcdserverpb.Watch/Watch';

type CreateMessage = {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
  readonly startRevision: bigint;
  readonly progressNotify: boolean;
  readonly filters: readonly number[];
  readonly prevKv: boolean;
  readonly watchId: bigint;
  readonly fragment: boolean;
};

type RequestMessage = {
  readonly requestUnion:
    | { readonly case: 'createRequest'; readonly value: CreateMessage }
    | { readonly case: 'cancelRequest'; readonly value: { readonly watchId: bigint } }
    | { readonly case: 'progressRequest'; readonly value: object }
    | { readonly case: undefined };
};

const method = methodAt(watchPath);
assert(method !== null, 'the descriptors have the watch');
const requestType = method.input;

/** Null: the bytes are no such message. */
export function decodeWatchMessage(bytes: Uint8Array): WatchRequest | null {
  // The descriptor decides the shape, of which the compiler knows nothing: a test decodes every field of it.
  return decodedMessage(requestType, bytes, (decoded) => requestOf(decoded as never));
}

function requestOf({ requestUnion }: RequestMessage): WatchRequest {
  switch (requestUnion.case) {
    case 'createRequest': {
      const { key, rangeEnd, startRevision, progressNotify, filters, prevKv, watchId, fragment } = requestUnion.value;
      const request = {
        key,
        rangeEnd,
        startRevision: Number(startRevision),
        progressNotify,
        noPut: filters.includes(watchFilter.NOPUT),
        noDelete: filters.includes(watchFilter.NODELETE),
        previous: prevKv,
        watchId,
        fragment,
      };
      return { kind: 'create', request: withKey(request) };
    }
    case 'cancelRequest':
      return { kind: 'cancel', watchId: requestUnion.value.watchId };
    case 'progressRequest':
      return { kind: 'progress' };
    case undefined:
      return { kind: 'none' };
    default:
      return unreachable(requestUnion);
  }
}

// Answers. The numbers are those of the fields in etcd's rpc.proto and kv.proto. A field that is zero is left out.

const headerBytes = new EncodedOnce(({ clusterId, memberId, revision, raftTerm }: ResponseHeader) => {
  const writer = new BinaryWriter().tag(1, WireType.LengthDelimited).fork();
  writer.tag(1, WireType.Varint).uint64(clusterId).tag(2, WireType.Varint).uint64(memberId);
  if (revision !== 0) writer.tag(3, WireType.Varint).int64(revision);
  if (raftTerm !== 0) writer.tag(4, WireType.Varint).uint64(raftTerm);
  return writer.join().finish();
});

/** `events`: of `grpcEvents`. */
export function watchMessage(header: ResponseHeader, answer: WatchAnswer, events: Uint8Array | null): Uint8Array {
  const writer = new BinaryWriter();
  if (answer.watchId !== 0n) writer.tag(2, WireType.Varint).int64(answer.watchId);
  if (answer.created === true) writer.tag(3, WireType.Varint).bool(true);
  if (answer.canceled === true) writer.tag(4, WireType.Varint).bool(true);
  const { compactRevision = 0, cancelReason = '' } = answer;
  if (compactRevision !== 0) writer.tag(5, WireType.Varint).int64(compactRevision);
  if (cancelReason !== '') writer.tag(6, WireType.LengthDelimited).string(cancelReason);
  if (answer.fragment === true) writer.tag(7, WireType.Varint).bool(true);
  const parts = [headerBytes.of(header), writer.finish()];
  return joinBytes(events === null ? parts : [...parts, events]);
}

function eventBytes({ type, kv, previous }: StoreEvent, withPrevious: boolean): Uint8Array {
  const writer = new BinaryWriter().tag(11, WireType.LengthDelimited).fork();
  if (type === 'delete') writer.tag(1, WireType.Varint).int32(1);
  writePair(writer.tag(2, WireType.LengthDelimited).fork(), kv).join();
  if (withPrevious && previous !== null) writePair(writer.tag(3, WireType.LengthDelimited).fork(), previous).join();
  return writer.join().finish();
}

function writePair(writer: BinaryWriter, pair: KeyValue): BinaryWriter {
  const { key, createRevision, modRevision, version, value, lease } = pair;
  if (key.byteLength > 0) writer.tag(1, WireType.LengthDelimited).bytes(key);
  if (createRevision !== 0) writer.tag(2, WireType.Varint).int64(createRevision);
  if (modRevision !== 0) writer.tag(3, WireType.Varint).int64(modRevision);
  if (version !== 0) writer.tag(4, WireType.Varint).int64(version);
  if (value.byteLength > 0) writer.tag(5, WireType.LengthDelimited).bytes(value);
  if (lease !== noLease) writer.tag(6, WireType.Varint).int64(lease);
  return writer;
}

type Revisions = readonly RevisionEvents[];

/** Null: they are more than one message may hold. */
function eventParts(revisions: Revisions, previous: boolean): readonly Uint8Array[] | null {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for (const { events } of revisions) {
    for (const event of events) {
      const part = eventBytes(event, previous);
      bytes += part.byteLength;
      if (bytes > watchEventsBytesMax) return null;
      parts.push(part);
    }
  }
  return parts;
}

function wholeOnce(previous: boolean): EncodedOnce<Revisions, Uint8Array | null> {
  return new EncodedOnce((revisions) => {
    const parts = eventParts(revisions, previous);
    return parts === null ? null : joinBytes(parts);
  });
}

function fragmentsOnce(previous: boolean): EncodedOnce<Revisions, readonly Uint8Array[] | null> {
  return new EncodedOnce((revisions) => {
    const parts = eventParts(revisions, previous);
    return parts === null ? null : cutFragments(parts, ({ byteLength }) => byteLength).map(joinBytes);
  });
}

const plain = { whole: wholeOnce(false), fragments: fragmentsOnce(false) };
const withPrevious = { whole: wholeOnce(true), fragments: fragmentsOnce(true) };

/** The events of a message, as a part of its bytes. */
export const grpcEvents = {
  whole: (revisions: Revisions, previous: boolean): Uint8Array | null =>
    (previous ? withPrevious : plain).whole.of(revisions),
  fragments: (revisions: Revisions, previous: boolean): readonly Uint8Array[] | null =>
    (previous ? withPrevious : plain).fragments.of(revisions),
};

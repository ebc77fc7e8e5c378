// etcd's watch stream: the messages of a client are decoded, and the answers are encoded. The text of an event is made
// once for all clients that watch it, and only what is around it differs.

import { emptyBytes, utf8 } from '../../base/bytes.ts';
import type { KeyRange, StoreEvent } from '../../model/store.ts';
import type { ResponseHeader } from '../contract.ts';
import { byteString, Scanner } from '../json/scanner.ts';
import { eventJson, headerJson } from './encode.ts';
import { bool, bytes, enumerations, int64, int64Exact, message, oneOf, submessage } from './message.ts';
import { readBody } from './schema.ts';

/**
 * `startRevision` is 0 for what comes after the current revision; a negative one is refused as compacted. `watchId` is
 * 0 where the store is to choose an id.
 */
export type WatchCreate = KeyRange & {
  readonly startRevision: number;
  readonly progressNotify: boolean;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  readonly previous: boolean;
  readonly watchId: bigint;
  readonly fragment: boolean;
};

export type WatchRequest =
  | { readonly kind: 'create'; readonly request: WatchCreate }
  | { readonly kind: 'cancel'; readonly watchId: bigint }
  | { readonly kind: 'progress' }
  /** The message is none of the three, and is passed over. */
  | { readonly kind: 'none' }
  | { readonly kind: 'malformed'; readonly detail: string };

export const watchFilter = { NOPUT: 0, NODELETE: 1 } as const;

type CreateDraft = {
  key: Uint8Array;
  rangeEnd: Uint8Array;
  startRevision: number;
  progressNotify: boolean;
  noPut: boolean;
  noDelete: boolean;
  previous: boolean;
  watchId: bigint;
  fragment: boolean;
};

const createRequest = message<CreateDraft>(
  () => ({
    key: emptyBytes,
    rangeEnd: emptyBytes,
    startRevision: 0,
    progressNotify: false,
    noPut: false,
    noDelete: false,
    previous: false,
    watchId: 0n,
    fragment: false,
  }),
  {
    key: bytes((into, value) => (into.key = value)),
    range_end: bytes((into, value) => (into.rangeEnd = value)),
    start_revision: int64((into, value) => (into.startRevision = value)),
    progress_notify: bool((into, value) => (into.progressNotify = value)),
    filters: enumerations(watchFilter, (into, value) => {
      if (value === watchFilter.NOPUT) into.noPut = true;
      if (value === watchFilter.NODELETE) into.noDelete = true;
    }),
    prev_kv: bool((into, value) => (into.previous = value)),
    watch_id: int64Exact((into, value) => (into.watchId = value)),
    fragment: bool((into, value) => (into.fragment = value)),
  },
);

const cancelRequest = message<{ watchId: bigint }>(() => ({ watchId: 0n }), {
  watch_id: int64Exact((into, value) => (into.watchId = value)),
});

const progressRequest = message<object>(() => ({}), {});

type WatchDraft = { request: WatchRequest };

const watchRequest = message<WatchDraft>(() => ({ request: { kind: 'none' } }), {
  create_request: oneOf(
    'request',
    submessage(
      () => createRequest,
      (into, request) => (into.request = { kind: 'create', request: withKey(request) }),
    ),
  ),
  cancel_request: oneOf(
    'request',
    submessage(
      () => cancelRequest,
      (into, { watchId }) => (into.request = { kind: 'cancel', watchId }),
    ),
  ),
  progress_request: oneOf(
    'request',
    submessage(
      () => progressRequest,
      (into) => (into.request = { kind: 'progress' }),
    ),
  ),
});

const lowestKey = new Uint8Array([0]);

/** etcd watches the key "\0" where a message names no key. */
export function withKey(request: WatchCreate): WatchCreate {
  return request.key.byteLength > 0 ? request : { ...request, key: lowestKey };
}

/** Decodes one message that `MessageSplitter` has cut out of a body or a frame. */
export function decodeWatchRequest(message: Uint8Array | string): WatchRequest {
  const scanner = new Scanner(byteString(typeof message === 'string' ? utf8(message) : message));
  const draft = readBody(watchRequest, scanner);
  return draft?.request ?? { kind: 'malformed', detail: scanner.fault ?? 'not a message' };
}

/** The watch id of an answer that belongs to no watch: to a refused one, or to the progress of the whole stream. */
export const noWatchId = -1n;

/**
 * The text of one event. It is the same for all watches that want the pair before the event, and for all that do not.
 */
export function encodeEvent(event: StoreEvent, withPrevious: boolean): string {
  return eventJson(event, withPrevious);
}

export type WatchAnswer = {
  readonly watchId: bigint;
  readonly created?: boolean;
  readonly canceled?: boolean;
  /** 0 where nothing was compacted. */
  readonly compactRevision?: number;
  readonly cancelReason?: string;
  readonly fragment?: boolean;
};

/**
 * One message, without its newline. A revision of 0 in the header is left out. `eventsText`: the texts of
 * `encodeEvent`, joined by commas.
 */
export function watchResponse(header: ResponseHeader, answer: WatchAnswer, eventsText = ''): string {
  let text = `{"result":{${headerJson(header, header.revision)}`;
  if (answer.watchId !== 0n) text += `,"watch_id":"${answer.watchId}"`;
  if (answer.created === true) text += ',"created":true';
  if (answer.canceled === true) text += ',"canceled":true';
  if (answer.compactRevision !== undefined && answer.compactRevision !== 0) {
    text += `,"compact_revision":"${answer.compactRevision}"`;
  }
  if (answer.cancelReason !== undefined && answer.cancelReason !== '') {
    text += `,"cancel_reason":${JSON.stringify(answer.cancelReason)}`;
  }
  if (answer.fragment === true) text += ',"fragment":true';
  if (eventsText !== '') text += `,"events":[${eventsText}]`;
  return `${text}}}`;
}

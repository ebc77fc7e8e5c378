// GET /v1/watch: what is watched, and the frames of a watch. They are the same JSON as text frames of a WebSocket, as
// server-sent events (whose id is the revision to go on after) and as lines. The text of an event is made once, however
// many clients watch it.

import { assert } from '../../base/assert.ts';
import { textOf } from '../../base/bytes.ts';
import type { StoreEvent } from '../../model/store.ts';
import { blankComment, blankSpace } from '../blanks.ts';
import type { ApiRequest, WatchCall } from '../contract.ts';
import type { Failure } from '../errors/errors.ts';
import { problemText } from '../errors/errors.ts';
import { eventTexts, type ToldRevisions } from '../event-texts.ts';
import { acceptedSubprotocol, isWebSocketUpgrade } from '../upgrade.ts';
import { eventJson } from './encode.ts';
import { flagParameter, integerParameter, parseQuery, rangeParameterNames, rangeParameters } from './parameters.ts';
import type { Parsed } from './parsed.ts';
import { bad, parsed } from './parsed.ts';

export function parseWatch(request: ApiRequest): Parsed<WatchCall> {
  const query = parseQuery(request.query, ['key', ...rangeParameterNames, 'from', 'prev']);
  if (query.kind === 'bad') return query;
  const range = rangeParameters(query.value);
  if (range.kind === 'bad') return range;
  if (range.value === null) return bad('say what to watch: key, prefix, or start and end (prefix= is every key)');
  const from = integerParameter(query.value, 'from', { min: 1, max: Number.MAX_SAFE_INTEGER });
  if (from.kind === 'bad') return from;
  const previous = flagParameter(query.value, 'prev');
  if (previous.kind === 'bad') return previous;
  const resumed = parseLastEventId(request.headers.get('last-event-id'));
  if (resumed.kind === 'bad') return resumed;
  return parsed({
    kind: 'watch',
    protocol: 'v1',
    transport: chooseTransport(request),
    accepted: acceptedSubprotocol(request.headers),
    // A browser that reconnects asks for the same address again, so the last event that it saw goes before `from`.
    parameters: { range: range.value, from: resumed.value ?? from.value, previous: previous.value },
  });
}

function chooseTransport(request: ApiRequest): V1Transport {
  if (isWebSocketUpgrade(request)) return 'websocket';
  const accepted = (request.headers.get('accept') ?? '').split(',');
  return accepted.some(isEventStream) ? 'sse' : 'ndjson';
}

/** RFC 9110, section 12.5.1: a type of the weight 0 is not accepted. */
function isEventStream(range: string): boolean {
  const [type, ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
  return type === 'text/event-stream' && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
}

/** The revision after the last one that the client saw. */
function parseLastEventId(header: string | null): Parsed<number | null> {
  if (header === null || header === '') return parsed(null);
  const last = /^[0-9]{1,15}$/.test(header) ? Number(header) : null;
  return last === null
    ? bad('Last-Event-ID must be a revision of at most 15 digits, as the id of an event is')
    : parsed(last + 1);
}

export const blankOf = { sse: blankComment, ndjson: blankSpace } as const;

/** Content types of the transports that are plain HTTP. */
export const watchContentTypes = { sse: 'text/event-stream', ndjson: 'application/x-ndjson' } as const;

/**
 * One message. A reader of it has seen all events up to the revision `resumeAfter`; null: the message says nothing of
 * that.
 */
export type WatchFrame = {
  readonly type: 'created' | 'events' | 'progress' | 'canceled';
  readonly json: string;
  readonly resumeAfter: number | null;
};

/** The first frame. `revision` is the store's, and `from` is the first revision that the watch will tell. */
export function createdFrame({ revision, from }: { readonly revision: number; readonly from: number }): WatchFrame {
  return { type: 'created', json: `{"type":"created","revision":${revision},"from":${from}}`, resumeAfter: from - 1 };
}

/** All events of one revision, or of several revisions up to `revision`. The events of a revision are never split. */
export function eventsFrame(revision: number, eventsText: string): WatchFrame {
  return {
    type: 'events',
    json: `{"type":"events","revision":${revision},"events":[${eventsText}]}`,
    resumeAfter: revision,
  };
}

/** The text of one event. Several are joined by commas. */
export function encodeEvent(event: StoreEvent, withPrevious: boolean): string {
  return eventJson(event, withPrevious);
}

/** The message of whole revisions, of which there is at least one. Null: their events are more than it may hold. */
export function revisionsFrame(told: ToldRevisions): WatchFrame | null {
  const last = told.revisions.at(-1);
  assert(last !== undefined, 'a message of events has a revision');
  const texts = eventTexts(told, encodeEvent);
  return texts === null ? null : eventsFrame(last.revision, texts.join(','));
}

/** Says that the watch has told all events up to `revision`. */
export function progressFrame(revision: number): WatchFrame {
  return { type: 'progress', json: `{"type":"progress","revision":${revision}}`, resumeAfter: revision };
}

/** Why the service ends a watch. A client that did not keep up may go on from a revision. */
export type WatchEnd =
  | { readonly reason: 'slow'; readonly resumeFrom: number }
  | { readonly reason: 'failed'; readonly failure: Failure };

/** The last frame of a watch. */
export function canceledFrame(revision: number, end: WatchEnd): WatchFrame {
  const why =
    end.reason === 'failed'
      ? `"reason":"failed","problem":${problemText(end.failure)}`
      : `"reason":"${end.reason}","resume_from":${end.resumeFrom}`;
  return { type: 'canceled', json: `{"type":"canceled","revision":${revision},${why}}`, resumeAfter: null };
}

/** As a server-sent event (HTML, section 9.2). The JSON has no line breaks. */
export function sseText({ type, json, resumeAfter }: WatchFrame): string {
  const id = resumeAfter === null ? '' : `id: ${resumeAfter}\n`;
  return `${id}event: ${type}\ndata: ${json}\n\n`;
}

export function ndjsonText({ json }: WatchFrame): string {
  return `${json}\n`;
}

export type V1Transport = 'websocket' | 'sse' | 'ndjson';

/** How a message is written in each transport. */
export const frameTexts: Readonly<Record<V1Transport, (frame: WatchFrame) => string>> = {
  websocket: (frame) => frame.json,
  sse: sseText,
  ndjson: ndjsonText,
};

/** Why no other message of a client is taken than one that asks for progress. */
export const unknownFrame: Failure = {
  kind: 'badRequest',
  detail: 'a client of a watch may send {"type":"progress"} and nothing else',
};

/** A frame that a v1 client sends over its WebSocket. Only a request for progress means anything. */
export function parseWatchFrame(frame: string | Uint8Array): 'progress' | 'unknown' {
  const text = typeof frame === 'string' ? frame : textOf(frame);
  return text !== null && /^\s*\{\s*"type"\s*:\s*"progress"\s*\}\s*$/.test(text) ? 'progress' : 'unknown';
}

// Which requests for /v1/watch may end at the front: those that nobody can read in two ways, and that name their caller
// as plain calls do. All others are handed on as they came.

import type { IncomingMessage } from 'node:http';
import type { RequestHeaders } from '../../api/contract.ts';
import type { V1Transport } from '../../api/v1/watch.ts';
import { emptyBytes } from '../../base/bytes.ts';
import { rangeBoundBytesMax } from '../../limits.ts';
import type { SessionWatch } from '../../session/watch-codec.ts';
import { plainTarget } from '../plain-request.ts';

export type PlainWatch<Transport extends V1Transport = V1Transport> = {
  readonly headers: RequestHeaders;
  readonly transport: Transport;
  readonly watch: SessionWatch;
};

/** `socketKey`: `Sec-WebSocket-Key`, which the answer proves to have read. */
export type PlainSocket = PlainWatch<'websocket'> & { readonly socketKey: string };

export type PlainStream = PlainWatch<'sse' | 'ndjson'>;

/** 16 bytes in base64. */
const plainSocketKey = /^[A-Za-z0-9+/]{21}[AQgw]==$/;

/** A WebSocket. Null: it is handed on as it came. */
export function plainSocket(request: IncomingMessage): PlainSocket | null {
  const plain = plainWatch(request, 'upgrade');
  if (plain === null || plain.transport !== 'websocket') return null;
  const { headers, transport, watch } = plain;
  // A token in a cookie is another caller's.
  if (headers.has('cookie')) return null;
  const socketKey = headers.get('sec-websocket-key') ?? '';
  if (headers.get('sec-websocket-version') !== '13' || !plainSocketKey.test(socketKey)) return null;
  if (!/^(?:keep-alive, *)?upgrade$/i.test(headers.get('connection') ?? '')) return null;
  return { headers, transport, watch, socketKey };
}

/** A streaming answer. Null: it is none, or is handed on as it came. */
export function plainStream(request: IncomingMessage): PlainStream | null {
  if (request.method !== 'GET' || request.url?.startsWith('/v1/watch?') !== true) return null;
  const plain = plainWatch(request, null);
  if (plain === null || plain.transport === 'websocket') return null;
  const { headers, transport, watch } = plain;
  return { headers, transport, watch };
}

function plainWatch(request: IncomingMessage, expected: 'upgrade' | null): PlainWatch | null {
  const plain = plainTarget(request, expected);
  if (plain === null || plain.headers.has('content-length')) return null;
  const call = plain.endpoint.parse({ ...plain, body: emptyBytes });
  if (call.kind !== 'watch' || call.protocol !== 'v1') return null;
  const { range, from, previous } = call.parameters;
  if (Math.max(range.key.byteLength, range.rangeEnd.byteLength) > rangeBoundBytesMax) return null;
  const watch = { range, start: from ?? 0, noPut: false, noDelete: false, previous };
  return { headers: plain.headers, transport: call.transport, watch };
}

// Which requests for a WebSocket to /v1/watch may end at the front: those that nobody can read in two ways, and that
// name their caller as plain calls do. All others are handed on as they came.

import type { IncomingMessage } from 'node:http';
import type { RequestHeaders } from '../../api/contract.ts';
import { emptyBytes } from '../../base/bytes.ts';
import { rangeBoundBytesMax } from '../../limits.ts';
import type { SessionWatch } from '../../session/watch-codec.ts';
import { plainTarget } from '../plain-request.ts';

export type PlainWatch = {
  readonly headers: RequestHeaders;
  /** `Sec-WebSocket-Key`, which the answer proves to have read. */
  readonly socketKey: string;
  readonly watch: SessionWatch;
};

/** 16 bytes in base64. */
const plainSocketKey = /^[A-Za-z0-9+/]{21}[AQgw]==$/;

/** Null: it is handed on as it came. */
export function plainWatch(request: IncomingMessage): PlainWatch | null {
  const plain = plainTarget(request, 'upgrade');
  if (plain === null) return null;
  const { headers, endpoint } = plain;
  // A token in a cookie is another caller's.
  if (headers.has('cookie') || headers.has('content-length')) return null;
  const socketKey = headers.get('sec-websocket-key') ?? '';
  if (headers.get('sec-websocket-version') !== '13' || !plainSocketKey.test(socketKey)) return null;
  if (!/^(?:keep-alive, *)?upgrade$/i.test(headers.get('connection') ?? '')) return null;
  const call = endpoint.parse({ ...plain, body: emptyBytes });
  if (call.kind !== 'watch' || call.protocol !== 'v1' || call.transport !== 'websocket') return null;
  const { range, from, previous } = call.parameters;
  if (Math.max(range.key.byteLength, range.rangeEnd.byteLength) > rangeBoundBytesMax) return null;
  return { headers, socketKey, watch: { range, start: from ?? 0, noPut: false, noDelete: false, previous } };
}

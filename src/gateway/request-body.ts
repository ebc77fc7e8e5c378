// Reads a request's body into memory, up to a bound.

import { discardedBodyBytesMax } from '../limits.ts';

/**
 * null: it is longer than `bytesMax`; no more than that was kept. The rest of it was read and thrown away: a client that is
 * still sending when the connection ends does not see the answer.
 */
export async function readBody(request: Request, bytesMax: number): Promise<ArrayBuffer | null> {
  if (request.body === null) return new ArrayBuffer(0);
  const declared = request.headers.get('Content-Length');
  if (declared !== null && Number(declared) <= bytesMax) return request.arrayBuffer();
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of request.body) {
    bytes += part.byteLength;
    if (bytes <= bytesMax) parts.push(part);
    else parts.length = 0;
    if (bytes > discardedBodyBytesMax) break;
  }
  return bytes > bytesMax ? null : new Blob(parts).arrayBuffer();
}

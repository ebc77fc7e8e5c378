// Reads a request's body into memory, up to a bound. Nothing else does, so that no header of a client takes the bound away.

import { discardedBodyBytesMax } from '../limits.ts';

/** What is used of a request. */
export type BodySource = Pick<Request, 'body' | 'headers' | 'arrayBuffer'>;

/**
 * null: it is longer than `bytesMax`; no more than that was kept. The rest of it was read and thrown away: a client that is
 * still sending when the connection ends does not see the answer.
 */
export async function readBody(request: BodySource, bytesMax: number): Promise<ArrayBuffer | null> {
  if (request.body === null) return new ArrayBuffer(0);
  if (isWithin(request.headers, bytesMax)) return request.arrayBuffer();
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

/** A length counts only where nothing else says how long the body is (RFC 9112, section 6.3). */
function isWithin(headers: Headers, bytesMax: number): boolean {
  const declared = headers.get('Content-Length') ?? '';
  return /^\d{1,15}$/.test(declared) && Number(declared) <= bytesMax && !headers.has('Transfer-Encoding');
}

// Reads the body of a request into memory: up to a bound, within a bounded time, and counted. No other code reads a
// body, so no header of a client can take a bound away.

import type { Failure } from '../api/errors/failures.ts';
import { bodyReadMs, discardedBodyBytesMax } from '../limits.ts';
import type { MemoryShare, Reservation } from '../base/memory-budget.ts';

/** The part of a request that is used here. */
export type BodySource = Pick<Request, 'body' | 'headers' | 'arrayBuffer'>;

export type BodyBounds = {
  readonly bytesMax: number;
  /**
   * The body is counted here from before it is read until the caller of `readBody` releases it; null: it is too small
   * to be counted.
   */
  readonly memory: Reservation | null;
};

export type BodyRead =
  | { readonly kind: 'body'; readonly body: ArrayBuffer }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** Never keeps more of a body than the bound, even where the body is larger. */
export async function readBody(request: BodySource, bounds: BodyBounds): Promise<BodyRead> {
  if (request.body === null) return { kind: 'body', body: new ArrayBuffer(0) };
  const bytes = declaredBytes(request.headers);
  const isWithin = bytes !== null && bytes <= bounds.bytesMax;
  const lacking = isWithin ? (bounds.memory?.hold(bytes) ?? null) : null;
  if (lacking !== null) return failed({ kind: 'memoryFull', of: lacking });
  const late = new AbortController();
  const inTime = isWithin ? readDeclared(request) : readParts(request.body, bounds, late.signal);
  return Promise.race([inTime, tooLate(inTime, late)]);
}

async function readDeclared(request: BodySource): Promise<BodyRead> {
  try {
    return { kind: 'body', body: await request.arrayBuffer() };
  } catch {
    return bodyCut;
  }
}

/** The sender has gone or has framed the body wrongly, and may still read the answer. */
const bodyCut = failed({
  kind: 'badRequest',
  detail: 'the connection ended inside the body, or the body is not framed as its headers say; nothing was done',
});

/**
 * The rest of a body that is too large is read and thrown away, because a client that is still sending when the
 * connection ends does not see the answer.
 */
async function readParts(
  body: ReadableStream<Uint8Array>,
  { bytesMax, memory }: BodyBounds,
  late: AbortSignal,
): Promise<BodyRead> {
  try {
    return await readWhole(body, { bytesMax, memory }, late);
  } catch {
    return bodyCut;
  }
}

async function readWhole(
  body: ReadableStream<Uint8Array>,
  { bytesMax, memory }: BodyBounds,
  late: AbortSignal,
): Promise<BodyRead> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  let failure: Failure | null = null;
  for await (const part of body) {
    bytes += part.byteLength;
    if (failure === null && bytes > bytesMax) failure = { kind: 'bodyTooLarge', bytes: bytesMax + 1, bytesMax };
    const lacking: MemoryShare | null = failure === null ? (memory?.hold(bytes) ?? null) : null;
    if (lacking !== null) failure = { kind: 'memoryFull', of: lacking };
    if (failure === null) parts.push(part);
    else parts.length = 0;
    if (bytes > discardedBodyBytesMax || late.aborted) break;
  }
  return failure === null ? { kind: 'body', body: await new Blob(parts).arrayBuffer() } : failed(failure);
}

/**
 * Without this a client that stops sending in the middle would hold its connection, and the memory of what was read,
 * for good.
 */
async function tooLate(inTime: Promise<BodyRead>, late: AbortController): Promise<BodyRead> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, bodyReadMs);
    const settled = (): void => {
      clearTimeout(timer);
      resolve();
    };
    inTime.then(settled, settled);
  });
  late.abort();
  return failed({ kind: 'bodyLate', seconds: bodyReadMs / 1_000 });
}

function failed(failure: Failure): BodyRead {
  return { kind: 'failed', failure };
}

/**
 * The length that Content-Length says, unless the request says in another way how long its body is (RFC 9112, section
 * 6.3).
 */
function declaredBytes(headers: Headers): number | null {
  const declared = headers.get('Content-Length') ?? '';
  return /^\d{1,15}$/.test(declared) && !headers.has('Transfer-Encoding') ? Number(declared) : null;
}

// Reads a request's body into memory: up to a bound, in a bounded time, and counted. Nothing else does, so that no
// header of a client takes a bound away.

import type { Failure } from '../api/errors/failures.ts';
import { bodyReadMs, discardedBodyBytesMax } from '../limits.ts';
import type { MemoryShare, Reservation } from '../base/memory-budget.ts';

/** What is used of a request. */
export type BodySource = Pick<Request, 'body' | 'headers' | 'arrayBuffer'>;

export type BodyBounds = {
  readonly bytesMax: number;
  /** What the body is counted in, from before it is read until the caller releases it; null: it is small. */
  readonly memory: Reservation | null;
};

export type BodyRead =
  | { readonly kind: 'body'; readonly body: ArrayBuffer }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** Of a body that is too large no more than the bound was kept. */
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

/** Its sender has gone, or framed it wrongly; perhaps it reads on. */
const bodyCut = failed({
  kind: 'badRequest',
  detail: 'the connection ended inside the body, or the body is not framed as its headers say; nothing was done',
});

/**
 * The rest of one that is too large is thrown away: a client that is still sending when the connection ends does not
 * see the answer.
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

/** Whoever does not send what it began to would hold its connection, and what was read, for good. */
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

/** A length counts only where nothing else says how long the body is (RFC 9112, section 6.3). */
function declaredBytes(headers: Headers): number | null {
  const declared = headers.get('Content-Length') ?? '';
  return /^\d{1,15}$/.test(declared) && !headers.has('Transfer-Encoding') ? Number(declared) : null;
}

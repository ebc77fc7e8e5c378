// Which headers are handed on between a client and the Worker's runtime. The framing of each connection is its own (RFC
// 9110, section 7.6.1); all else goes on as it came, in its order, with its duplicates, since the Worker judges it.

import { randomUUID } from 'node:crypto';
import { frontUnaskedBodyBytesMax } from '../limits.ts';
import type { RequestHeaders } from '../api/contract.ts';
import { RequestIds, requestIdHeader } from '../api/request-id.ts';
import { headerOf } from './answer-reader.ts';

/**
 * Fields of one connection. Those that `Connection` names besides are handed on: the Worker is the end of this
 * connection and no further recipient, and no client should take away a condition of its own request by naming
 * `If-Match` there.
 */
const ofConnection: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'upgrade',
  'http2-settings',
  'trailer',
  'te',
]);

/** The framing of a request's body towards the runtime, which is that in which it came. */
export type BodyFraming = 'none' | 'length' | 'chunked';

export function framingOf(rawHeaders: readonly string[]): BodyFraming {
  if (headerOf(rawHeaders, 'transfer-encoding') !== null) return 'chunked';
  return headerOf(rawHeaders, 'content-length') === null ? 'none' : 'length';
}

/**
 * Whether the runtime is asked for its word before a body is sent to it. Where the Worker refuses a body unread, the
 * runtime throws a little of it away, and else ends the connection by a reset. What is written after that fails, and
 * with it the answer is lost, although it has come.
 */
export function isAskedFor(rawHeaders: readonly string[]): boolean {
  const framing = framingOf(rawHeaders);
  const bytes = Number(headerOf(rawHeaders, 'content-length') ?? 0);
  return framing === 'chunked' || bytes > frontUnaskedBodyBytesMax;
}

const requestIds = new RequestIds(() => randomUUID());

/** The id of a request: what its client sent, if that is one and well-formed, and else a new one. */
export function requestIdOf(rawHeaders: readonly string[]): string {
  let sent: string | null = null;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() !== requestIdHeader) continue;
    // As the platform joins fields that come again, and then it is not well-formed.
    sent = sent === null ? (rawHeaders[at + 1] ?? '') : `${sent}, `;
  }
  return requestIds.of(sent);
}

export function newRequestId(): string {
  return requestIds.of(null);
}

export function requestIdIn(headers: RequestHeaders): string {
  return requestIds.of(headers.get(requestIdHeader));
}

/** RFC 9110, section 10.1.1. */
export function isContinueExpected(expectation: string): boolean {
  return expectation.trim().toLowerCase() === '100-continue';
}

/** The Worker counts failed logins by it. As Cloudflare's edge does, the front sets it, whatever the client sends. */
const sourceHeader = 'CF-Connecting-IP';
/** What the front says in place of what a client sends. */
const replaced: ReadonlySet<string> = new Set([sourceHeader.toLowerCase(), requestIdHeader]);
const ofThisMachine = /^127\.|^::1$/;

export type RequestSource = {
  readonly address: string | undefined;
  readonly requestId: string;
  readonly authority: string | null;
};

/**
 * @param address The address of the client's connection. That of the machine itself is not told: its clients, or those
 * of a proxy on it, would count as one.
 * @param requestId The id that the front has taken or made. It goes on in place of what the client sent.
 * @param authority The `Host` of a service elsewhere, which knows the address of this machine. An edge of Cloudflare's
 * takes no request that names one. null: the runtime of this server, which is told what the client said.
 * @returns Lines, each with its end. `Transfer-Encoding` is handed on as it came, since the Worker refuses some.
 */
export function requestLines(rawHeaders: readonly string[], { address, requestId, authority }: RequestSource): string {
  let lines = authority === null ? sourceLine(address) : `Host: ${authority}\r\n`;
  lines += `X-Request-Id: ${requestId}\r\n`;
  const isChunked = framingOf(rawHeaders) === 'chunked';
  const isAsked = isAskedFor(rawHeaders);
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    const lower = name.toLowerCase();
    if (ofConnection.has(lower) || replaced.has(lower) || (authority !== null && lower === 'host')) continue;
    // If both are sent, the chunks say how long the body is (RFC 9112, section 6.3).
    if (isChunked && lower === 'content-length') continue;
    // The front's own expectation stands for those of the client, and comes last: the runtime heeds the last one.
    if (isAsked && lower === 'expect' && isContinueExpected(rawHeaders[at + 1] ?? '')) continue;
    lines += `${name}: ${rawHeaders[at + 1]}\r\n`;
  }
  if (isAsked) lines += 'Expect: 100-continue\r\n';
  return lines;
}

function sourceLine(address: string | undefined): string {
  const source = address?.replace(/^::ffff:/i, '') ?? '';
  return source === '' || ofThisMachine.test(source) ? '' : `${sourceHeader}: ${source}\r\n`;
}

/**
 * Names and values alternate, as `writeHead` of node:http takes them. Where the runtime answers by itself, the request
 * has reached no Worker, and the answer has its id from here.
 */
export function answerHeaders(rawHeaders: readonly string[], requestId: string): string[] {
  const kept = headerOf(rawHeaders, requestIdHeader) === null ? [requestIdHeader, requestId] : [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    const lower = name.toLowerCase();
    if (!ofConnection.has(lower) && lower !== 'transfer-encoding') kept.push(name, rawHeaders[at + 1] ?? '');
  }
  return kept;
}

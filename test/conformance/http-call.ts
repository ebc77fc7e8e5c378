// Sends one recorded request over HTTP, with Node's own client, because that client adds no headers of its own choice
// to those of the recording.

import { request as httpRequest, type Agent, type ClientRequest, type IncomingMessage } from 'node:http';
import { unreachable } from '../../src/base/assert.ts';
import type { Answer, Body, Call, Json } from './conversation.ts';
import { matchAnswerBody } from './matching.ts';
import { fillIn, fillInText, type Captures } from './placeholders.ts';
import type { Store } from './store.ts';

export const answerWaitMs = 10_000;

export type HttpAnswer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};

/** The bytes of a body, with placeholders filled in. Null: there is no body. */
export function bodyText(body: Body, captures: Captures): string | null {
  switch (body.kind) {
    case 'none':
      return null;
    case 'json':
      return JSON.stringify(fillIn(body.value, captures));
    case 'text':
      return fillInText(body.text, captures);
    default:
      return unreachable(body);
  }
}

/**
 * A request with a body has a Content-Type unless the recording says otherwise; null in a recording means that the
 * header is not sent.
 */
export function callHeaders(store: Pick<Store, 'headers'>, call: Call, captures: Captures): Record<string, string> {
  const headers: Record<string, string> = {};
  if (call.body.kind !== 'none') headers['content-type'] = 'application/json';
  for (const [name, value] of Object.entries(call.headers)) {
    if (value === null) delete headers[name];
    else headers[name] = fillInText(value, captures);
  }
  return { ...headers, ...store.headers };
}

/** Sends the request, the whole body at once. The caller listens for the response. */
export function sendCall(store: Store, call: Call, captures: Captures, agent: Agent | false): ClientRequest {
  const body = bodyText(call.body, captures);
  const headers = callHeaders(store, call, captures);
  if (body !== null) headers['content-length'] = String(Buffer.byteLength(body));
  const request = httpRequest(new URL(call.path, store.url).href, { method: call.method, headers, agent });
  request.setNoDelay(true);
  request.end(body ?? undefined);
  return request;
}

/** The whole answer. Rejects after `waitMs`, or if the connection breaks. */
export function answerOf(request: ClientRequest, waitMs: number): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      request.destroy(new Error(`no answer within ${waitMs} ms`));
    }, waitMs);
    request.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    request.on('response', (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        clearTimeout(timer);
        resolve({
          status: response.statusCode ?? 0,
          headers: headersOf(response),
          body: Buffer.concat(parts).toString('utf8'),
        });
      });
    });
  });
}

function headersOf(response: IncomingMessage): Record<string, string> {
  return Object.fromEntries(Object.entries(response.headers).map(([name, value]) => [name, String(value ?? '')]));
}

/** The first difference between an answer and its recording, or null. */
export function matchHttpAnswer(recorded: Answer, actual: HttpAnswer, captures: Captures): string | null {
  const head = matchHead(recorded, actual);
  if (head !== null) return `${head}${actual.body === '' ? '' : ` (${actual.body.slice(0, 200).trim()})`}`;
  const { content } = recorded;
  if (content.kind === 'any') return null;
  const type = mediaType(actual.headers['content-type'] ?? '');
  if (type !== content.type) return `content-type: recorded ${content.type}, came ${type}`;
  if (content.kind === 'text') {
    return actual.body === content.text
      ? null
      : `the text: recorded ${JSON.stringify(content.text)}, came ${JSON.stringify(actual.body.slice(0, 300))}`;
  }
  const value = parseJson(actual.body);
  if (value === undefined) return `the body is not JSON: ${actual.body.slice(0, 200)}`;
  return matchAnswerBody(content.value, value, captures);
}

export function matchHead(recorded: Answer, actual: Pick<HttpAnswer, 'status' | 'headers'>): string | null {
  if (actual.status !== recorded.status) return `status: recorded ${recorded.status}, came ${actual.status}`;
  for (const [name, value] of Object.entries(recorded.headers)) {
    const came = actual.headers[name.toLowerCase()];
    if (came !== value)
      return `header ${name}: recorded ${JSON.stringify(value)}, came ${JSON.stringify(came ?? null)}`;
  }
  return null;
}

/** Parameters of a media type, such as a charset, do not count. */
function mediaType(contentType: string): string {
  return (contentType.split(';')[0] ?? '').trim().toLowerCase();
}

export function parseJson(text: string): Json | undefined {
  try {
    // `JSON.parse` yields nothing but this type.
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

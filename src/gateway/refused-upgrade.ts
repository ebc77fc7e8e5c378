// A WebSocket that is refused, for a client that cannot read why. A browser tells its page nothing of the answer to an
// upgrade but that it was no 101 (WHATWG WebSockets, "fail the connection"): such a client gets its socket, and a close
// frame that says what the answer said.

import { closeFrameOfStatus } from '../api/close-frames.ts';
import { isWebSocketUpgrade, offeredBearer } from '../api/upgrade.ts';

/** The answer as it is, or in its place a socket that is closed at once with 4000 and the answer's status. */
export async function readableRefusal(request: Request, answer: Response): Promise<Response> {
  if (answer.status === 101 || !readsNoAnswer(request)) return answer;
  const { 0: client, 1: server } = new WebSocketPair();
  server.accept();
  const text = await answer.text();
  const isRefusal = answer.status >= 400;
  const { code, reason } = isRefusal
    ? closeFrameOfStatus(answer.status, detailIn(text))
    : closeFrameOfStatus(noSocketStatus, 'This path takes no WebSocket: it is for plain requests.');
  server.close(code, reason);
  const headers = new Headers();
  const protocol = offeredBearer(request.headers) ?? firstOffered(request.headers);
  if (protocol !== null) headers.set('sec-websocket-protocol', protocol);
  return new Response(null, { status: 101, webSocket: client, headers });
}

/** A request that was answered, and asked for a socket. */
const noSocketStatus = 400;

/** A client that offers subprotocols fails where none of them is taken, and then does not hear why it was refused. */
function firstOffered(headers: Headers): string | null {
  const [first = ''] = headers.get('sec-websocket-protocol')?.split(',') ?? [];
  return first.trim() === '' ? null : first.trim();
}

/**
 * Browsers name the page's origin, and can send a key as a subprotocol alone; Node's own client says what it fetches as
 * they do (Fetch Metadata). Others read the status.
 */
function readsNoAnswer(request: Request): boolean {
  const { method, headers } = request;
  if (!isWebSocketUpgrade({ method, headers })) return false;
  return headers.has('Origin') || headers.get('Sec-Fetch-Mode') === 'websocket' || offeredBearer(headers) !== null;
}

/** What a problem (v1) or etcd's error body (v3) says. */
function detailIn(body: string): string {
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed !== 'object' || parsed === null) return '';
    const told = new Map<string, unknown>(Object.entries(parsed));
    const detail = told.get('detail') ?? told.get('message');
    return typeof detail === 'string' ? detail : '';
  } catch {
    return '';
  }
}

// A WebSocket that is refused, for a client that cannot read why. A browser tells its page nothing of the answer to an upgrade but that it
// was no 101 (WHATWG WebSockets, "fail the connection"): such a client gets its socket, and a close frame that says what the answer said.

import { closeFrameOfStatus } from '../api/close-frames.ts';
import { isWebSocketUpgrade, offeredBearer } from '../api/upgrade.ts';

/** The answer as it is, or in its place a socket that is closed at once with 4000 and the answer's status. */
export async function readableRefusal(request: Request, answer: Response): Promise<Response> {
  if (answer.status === 101 || !readsNoAnswer(request)) return answer;
  const { 0: client, 1: server } = new WebSocketPair();
  server.accept();
  const { code, reason } = closeFrameOfStatus(answer.status, detailIn(await answer.text()));
  server.close(code, reason);
  const headers = new Headers();
  const protocol = offeredBearer(request.headers);
  if (protocol !== null) headers.set('sec-websocket-protocol', protocol);
  return new Response(null, { status: 101, webSocket: client, headers });
}

/** Browsers name the page's origin, and can send a key as a subprotocol alone; so does Node's own client. Others read the status. */
function readsNoAnswer(request: Request): boolean {
  const { method, headers } = request;
  if (!isWebSocketUpgrade({ method, headers })) return false;
  return headers.has('Origin') || offeredBearer(headers) !== null;
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

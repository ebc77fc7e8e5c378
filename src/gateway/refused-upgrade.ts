// A WebSocket that is refused to a client that cannot read why. Of the answer to an upgrade a browser tells its page
// only that it was not 101 (WHATWG WebSockets, "fail the connection"). Such a client gets its socket, and a close frame
// that says what the answer said.

import { closeFrameOfStatus } from '../api/close-frames.ts';
import { isWebSocketUpgrade, offeredBearer } from '../api/upgrade.ts';

/** The answer as it is, or a socket in its place, which is closed at once with 4000 and the status of the answer. */
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

/** The status that is told where the path answered the request, but takes no WebSocket. */
const noSocketStatus = 400;

/**
 * A client that offers subprotocols fails where the service takes none of them, and would not hear why it was refused.
 */
function firstOffered(headers: Headers): string | null {
  const [first = ''] = headers.get('sec-websocket-protocol')?.split(',') ?? [];
  return first.trim() === '' ? null : first.trim();
}

/**
 * A browser names the origin of its page, or sends a key as a subprotocol, as it can send it in no other way. Node's
 * own client sends the header Sec-Fetch-Mode, as browsers do. Other clients can read the status.
 */
function readsNoAnswer(request: Request): boolean {
  const { method, headers } = request;
  if (!isWebSocketUpgrade({ method, headers })) return false;
  return headers.has('Origin') || headers.get('Sec-Fetch-Mode') === 'websocket' || offeredBearer(headers) !== null;
}

/** The sentence in a problem of v1 or in an error body of v3. */
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

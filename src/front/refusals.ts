// The answers to messages that are no requests. The front makes these answers itself, since there is nothing to hand
// on. The runtime would answer most such messages alike. If a message could be read in two ways (a length beside
// chunks, a field that is folded), the front refuses it.

/** What node:http says of an error: its code, and in which bytes, and at which of them, it came. */
export type ParserError = { readonly code?: unknown; readonly rawPacket?: unknown; readonly bytesParsed?: unknown };

/** What is said where the runtime has gone, or sent what is no answer. */
export const runtimeSilent = 'the runtime behind this server did not answer; what was asked may have been done';

type Refusal = { readonly status: string; readonly text: string };

const badRequest = { status: '400 Bad Request', text: 'this cannot be read as a request of HTTP/1.1 (RFC 9112)' };

/** The refusals by the code of the parser's error, as node:http gives it. */
const refusals: ReadonlyMap<string, Refusal> = new Map<string, Refusal>([
  ['CONNECT', { status: '501 Not Implemented', text: 'CONNECT is not served: this is no proxy' }],
  ['PLAIN_TEXT', { status: '400 Bad Request', text: 'this port speaks TLS: use https://' }],
  ['NO_TLS', { status: '400 Bad Request', text: 'this port speaks plain text: use http://' }],
  ['UPGRADE_BODY', { status: '400 Bad Request', text: 'a request for a WebSocket has no body: send it without one' }],
  ['ERR_HTTP_REQUEST_TIMEOUT', { status: '408 Request Timeout', text: 'the head of the request did not come in time' }],
  [
    'HPE_INVALID_URL',
    {
      status: '400 Bad Request',
      text: 'the target of the request has a byte that no URL has: percent-encode it (%C3%A9 for é in UTF-8)',
    },
  ],
  ['VERSION', { status: '505 HTTP Version Not Supported', text: 'this port speaks HTTP/1.1 and HTTP/1.0' }],
  [
    'HPE_HEADER_OVERFLOW',
    { status: '431 Request Header Fields Too Large', text: 'the head of the request is too large' },
  ],
]);

/** A whole answer in bytes, the last one on its connection. What cannot be read has no id of its own. */
export function refusalOf(error: ParserError, requestId: string): string {
  const { status, text } = known(error) ?? badRequest;
  const body = `${text}\n`;
  const head = `HTTP/1.1 ${status}\r\nX-Request-Id: ${requestId}\r\nContent-Type: text/plain\r\n`;
  return `${head}Connection: close\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

function known({ code, rawPacket, bytesParsed }: ParserError): Refusal | undefined {
  if (code === 'HPE_INVALID_METHOD' && beginsWithToken(lineAt(rawPacket, bytesParsed))) {
    return { status: '501 Not Implemented', text: 'no such method is known' };
  }
  return typeof code === 'string' ? refusals.get(code) : undefined;
}

/** The beginning of the line in which the error is. Other requests may stand before it. */
function lineAt(packet: unknown, at: unknown): string {
  if (!(packet instanceof Uint8Array) || typeof at !== 'number') return '';
  const bytes = Buffer.from(packet.buffer, packet.byteOffset, packet.byteLength);
  const start = at === 0 ? 0 : bytes.lastIndexOf('\n', at - 1) + 1;
  return bytes.toString('latin1', start, start + 64);
}

/** What RFC 9110, 5.6.2 allows as a method, and a space. */
function beginsWithToken(line: string): boolean {
  return /^[\w!#$%&'*+.^`|~-]+ \S/.test(line);
}

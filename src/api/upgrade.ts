// WebSocket upgrades (RFC 6455, section 4.2): whether a request asks for one, and which of its subprotocols is taken.

import type { ApiRequest, RequestHeaders } from './contract.ts';

/**
 * A browser cannot send a ping frame, but it can send this text, on a socket of any kind. Where the platform answers
 * it, while the object sleeps, it costs nothing.
 */
export const heartbeat = { request: 'ping', response: 'pong' } as const;

export function isWebSocketUpgrade({ method, headers }: Pick<ApiRequest, 'method' | 'headers'>): boolean {
  return method === 'GET' && headers.get('upgrade')?.toLowerCase() === 'websocket';
}

/**
 * The subprotocol that the answer repeats. Browsers send a key as the subprotocols `Bearer, <key>`, and a client that
 * offers subprotocols must be answered with one of them.
 */
export function acceptedSubprotocol(headers: RequestHeaders): string | null {
  return offeredBearer(headers);
}

/** `Bearer` among the subprotocols of the request, in the spelling of the request. */
export function offeredBearer(headers: RequestHeaders): string | null {
  const offered = headers.get('sec-websocket-protocol')?.split(',') ?? [];
  const names = offered.map((protocol) => protocol.trim());
  return names.find((name) => name === 'Bearer') ?? names.find((name) => name.toLowerCase() === 'bearer') ?? null;
}

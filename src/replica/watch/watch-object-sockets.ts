// The hibernating WebSockets of a Durable Object that belong to watches.

import type { HibernatingSocket, WatchSockets } from './watch-socket.ts';

/** The tag of these sockets. The object may hold other sockets, too. */
const socketTag = 'watch';

export class ObjectSockets implements WatchSockets {
  readonly #object: Pick<DurableObjectState, 'acceptWebSocket' | 'getWebSockets' | 'getWebSocketAutoResponseTimestamp'>;

  constructor(
    object: Pick<DurableObjectState, 'acceptWebSocket' | 'getWebSockets' | 'getWebSocketAutoResponseTimestamp'>,
  ) {
    this.#object = object;
  }

  accept(subprotocol: string | null): { readonly socket: HibernatingSocket; readonly answer: Response } {
    const { 0: client, 1: server } = new WebSocketPair();
    this.#object.acceptWebSocket(server, [socketTag]);
    const headers = new Headers();
    if (subprotocol !== null) headers.set('sec-websocket-protocol', subprotocol);
    return { socket: server, answer: new Response(null, { status: 101, webSocket: client, headers }) };
  }

  open(): readonly WebSocket[] {
    return this.#object.getWebSockets(socketTag);
  }

  heardMs(socket: HibernatingSocket): number | null {
    if (!(socket instanceof WebSocket)) return null;
    return this.#object.getWebSocketAutoResponseTimestamp(socket)?.getTime() ?? null;
  }
}

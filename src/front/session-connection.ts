// The connection behind a session: the handshake with the gateway, in the name of a client whose credentials it took.

import { randomBytes } from 'node:crypto';
import { sessionPath, sessionSubprotocol } from '../api/v1/session.ts';
import { requestTimeoutMs } from '../limits.ts';
import type { ConnectionEvents, SessionConnection } from '../session/client-port.ts';
import { SocketMessages } from './socket-messages.ts';
import type { Upstream } from './upstream.ts';

/** `lines`: the headers of the client's credentials, each line with its end. */
export type SessionAddress = { readonly replica: number; readonly lines: string };

/** `unsentBytes`: what was said, and has not left this process. */
export type OpenedSession = SessionConnection & { readonly unsentBytes: () => number };

/** `refused`: the gateway answered the handshake with this status. */
export function connectSession(
  upstream: Upstream,
  { replica, lines }: SessionAddress,
  { opened, message, closed, refused }: ConnectionEvents & { readonly refused: (status: number) => void },
): OpenedSession {
  let socket: SocketMessages | null = null;
  let isOver = false;
  const over = (): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    closed();
  };
  const call = upstream.call('GET', handshake(replica, `${upstream.hostLine}${lines}`), {
    continues: () => undefined,
    answers: ({ status }) => refused(status),
    receives: (_, isWhole) => {
      if (isWhole) over();
    },
    upgrades: (_, connection, first) => {
      clearTimeout(timer);
      if (isOver) {
        connection.destroy();
        return;
      }
      // What came behind the answer is read once the session knows that it is open.
      opened();
      socket = new SocketMessages(connection, first, { message, closed: over });
    },
    drained: () => undefined,
    failed: over,
  });
  const timer = setTimeout(() => {
    call.abort();
    over();
  }, requestTimeoutMs);
  call.sent();
  return {
    send: (bytes) => socket?.send(bytes),
    unsentBytes: () => socket?.unsentBytes ?? 0,
    close: () => {
      if (socket === null) call.abort();
      else socket.close();
      over();
    },
  };
}

function handshake(replica: number, lines: string): string {
  return [
    `GET ${sessionPath}?replica=${replica} HTTP/1.1\r\n${lines}Connection: Upgrade\r\n`,
    `Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n`,
    `Sec-WebSocket-Protocol: ${sessionSubprotocol}\r\n\r\n`,
  ].join('');
}

// The WebSocket of a session from outside: what the client's end needs of the world, for measurements.

import { randomBytes } from 'node:crypto';
import { sessionPath, sessionSubprotocol } from '../../src/api/v1/session.ts';
import type { ConnectionEvents, SessionClientPort, SessionConnection } from '../../src/session/client-port.ts';
import { openWebSocket, type WebSocketClient } from './websocket-client.ts';

const openWaitMs = 10_000;

/** `headers` have the tenant's key. */
export type SessionTarget = { readonly url: string; readonly headers: Readonly<Record<string, string>> };

/** `processId`: one for all sessions of a process, as one write may be sent by several of them. */
export function sessionPort(
  target: SessionTarget,
  { replica, processId = randomBytes(16) }: { readonly replica: number; readonly processId?: Uint8Array },
): SessionClientPort {
  return {
    connect: (events) => connectionTo(target, replica, events),
    processId,
    nowMs: () => performance.now(),
    later: (delayMs, task) => {
      const timer = setTimeout(task, delayMs);
      return () => clearTimeout(timer);
    },
    soon: (task) => void setImmediate(task),
    ended: () => undefined,
    random: Math.random,
    counted: () => undefined,
  };
}

function connectionTo({ url, headers }: SessionTarget, replica: number, events: ConnectionEvents): SessionConnection {
  let open: WebSocketClient | null = null;
  const offered = { ...headers, 'Sec-WebSocket-Protocol': sessionSubprotocol };
  openWebSocket(new URL(`${url}${sessionPath}?replica=${replica}`), offered, openWaitMs).then(
    ({ status, ...upgrade }) => {
      if (!('socket' in upgrade) || upgrade.socket === null) {
        process.stderr.write(`the session was answered ${status}\n`);
        return events.closed();
      }
      const { socket } = upgrade;
      socket.onBinary = (message) => events.message(message);
      socket.onEnd = () => events.closed();
      open = socket;
      events.opened();
      socket.start();
    },
    () => events.closed(),
  );
  return { send: (message) => open?.sendBinary(message), close: () => open?.close() };
}

// A session with a replica in workerd, and calls for it.

import { readOf } from '../../../src/api/requests.ts';
import { sessionSubprotocol } from '../../../src/api/v1/session.ts';
import { emptyBytes, utf8 } from '../../../src/base/bytes.ts';
import { noLease } from '../../../src/model/brands.ts';
import type { Credentials, StoreCall } from '../../../src/model/calls.ts';
import { encodeCall } from '../../../src/session/call-codec.ts';
import type { SessionAnswer } from '../../../src/session/client-port.ts';
import { SessionClient } from '../../../src/session/session-client.ts';
import { withKey } from '../../support/service.ts';

export const upgrade = { Upgrade: 'websocket', 'Sec-WebSocket-Protocol': sessionSubprotocol };
const processId = utf8('test process 000');
let lastId = 0;

export function nextId(): number {
  return ++lastId;
}

export function putOf(key: string, value: string): StoreCall {
  const request = { key: utf8(key), value: utf8(value), lease: noLease };
  const flags = { previous: false, ignoreValue: false, ignoreLease: false };
  return { kind: 'write', writeId: null, operation: { kind: 'put', request: { ...request, ...flags } } };
}

export function getOf(key: string): StoreCall {
  return { kind: 'read', request: readOf({ key: utf8(key), rangeEnd: emptyBytes }) };
}

export function alone(text: string): Credentials {
  return { kind: 'alone', text };
}

/** A session with one replica, with the key of its opener. */
export class Session {
  readonly client: SessionClient;
  readonly handle: number;
  connections = 0;
  /** The count of writes that it was told last. Null: none. */
  writes: number | null = null;

  constructor(key: string, replica: number) {
    this.client = new SessionClient({
      connect: (events) => {
        this.connections++;
        let socket: WebSocket | null = null;
        withKey(key, `/v1/session?replica=${replica}`, { headers: upgrade }).then(
          ({ webSocket }) => {
            if (webSocket === null) return events.closed();
            socket = webSocket;
            webSocket.binaryType = 'arraybuffer';
            webSocket.addEventListener('message', ({ data }) => {
              if (data instanceof ArrayBuffer) events.message(new Uint8Array(data));
            });
            webSocket.addEventListener('close', () => events.closed());
            webSocket.addEventListener('error', () => events.closed());
            webSocket.accept();
            events.opened();
          },
          () => events.closed(),
        );
        return { send: (message) => socket?.send(message), close: () => socket?.close() };
      },
      processId,
      nowMs: () => Date.now(),
      later: (delayMs, task) => {
        const timer = setTimeout(task, delayMs);
        return () => clearTimeout(timer);
      },
      soon: (task) => queueMicrotask(task),
      ended: () => undefined,
      random: Math.random,
      counted: (writes) => void (this.writes = writes),
    });
    this.handle = this.client.declare(alone(key));
  }

  ask(
    call: StoreCall,
    more: { readonly handle?: number; readonly id?: number; readonly seen?: number | null } = {},
  ): Promise<SessionAnswer> {
    const { id = nextId(), handle = this.handle, seen } = more;
    const attempt = { failedLeader: 0, suspectedLeader: 0, mayBeAlone: false, seen };
    const options = { id, handle, deadlineMs: 5_000, ...attempt };
    return new Promise((resolve) => {
      this.client.call(encodeCall(call), options, resolve);
    });
  }
}

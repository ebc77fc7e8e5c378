// A client of the DevTools protocol: calls and their answers over one WebSocket. Events are ignored.

import { setTimeout as sleep } from 'node:timers/promises';
import { openWebSocket, type WebSocketClient } from './websocket-client.ts';

const connectWaitMs = 10_000;

type Waiting = { readonly resolve: (result: Record<string, unknown>) => void; readonly reject: (error: Error) => void };

export class DevTools {
  readonly #socket: WebSocketClient;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;

  private constructor(socket: WebSocketClient) {
    this.#socket = socket;
    socket.onMessage = (text) => this.#receive(text);
    socket.onEnd = () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the inspector closed the connection'));
      this.#waiting.clear();
    };
    socket.start();
  }

  /** Connects to the first target that the inspector lists. */
  static async connect(inspectorUrl: string): Promise<DevTools> {
    // The inspector refuses a client that has a User-Agent and no Origin, as the platform's WebSocket has.
    const { status, socket } = await openWebSocket(await targetOf(inspectorUrl), {}, connectWaitMs);
    if (socket === null) throw new Error(`the inspector at ${inspectorUrl} answered ${status} to the upgrade`);
    return new DevTools(socket);
  }

  call(method: string, parameters: object = {}): Promise<Record<string, unknown>> {
    this.#lastId++;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#socket.send(JSON.stringify({ id, method, params: parameters }));
    });
  }

  close(): void {
    this.#socket.close();
  }

  #receive(text: string): void {
    const message = new Map<string, unknown>(Object.entries(Object(JSON.parse(text))));
    const id = message.get('id');
    const waiting = typeof id === 'number' ? this.#waiting.get(id) : undefined;
    if (typeof id !== 'number' || waiting === undefined) return;
    this.#waiting.delete(id);
    if (message.has('error')) waiting.reject(new Error(JSON.stringify(message.get('error'))));
    else waiting.resolve(Object.fromEntries(Object.entries(Object(message.get('result')))));
  }
}

/** The inspector opens its port a moment before it knows its targets. */
async function targetOf(inspectorUrl: string): Promise<URL> {
  const deadline = Date.now() + connectWaitMs;
  for (;;) {
    const targets: unknown = await fetch(`${inspectorUrl}/json`)
      .then((response) => response.json())
      .catch(() => null);
    const first: unknown = Array.isArray(targets) ? targets[0] : null;
    const url = new Map<string, unknown>(Object.entries(Object(first))).get('webSocketDebuggerUrl');
    if (typeof url === 'string') return new URL(url.replace(/^ws:/, 'http:'));
    if (Date.now() > deadline) throw new Error(`the inspector at ${inspectorUrl} lists no target`);
    await sleep(100);
  }
}

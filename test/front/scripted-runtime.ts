// In the place of the Worker's runtime: what comes is kept, what is said is what the test says.

import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

class RuntimeConnection {
  readonly socket: Socket;
  text = '';
  bytes = 0;
  /** How it ended: by a reset, as a call that was given up, or in an orderly way. */
  readonly ended: Promise<'end' | 'reset'>;
  #changed: () => void = () => undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (part) => {
      this.bytes += part.byteLength;
      // Of what is large, the beginning is enough.
      if (this.text.length < 65_536) this.text += part.toString('latin1');
      this.#changed();
    });
    this.ended = new Promise((resolve) => {
      socket.on('error', () => resolve('reset'));
      socket.on('end', () => resolve('end'));
      socket.on('close', () => resolve('end'));
    });
  }

  async until(isSo: (text: string) => boolean): Promise<string> {
    while (!isSo(this.text)) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
    return this.text;
  }

  /** Until the head of the n-th request is there. */
  request(count = 1): Promise<string> {
    return this.until((text) => text.split('\r\n\r\n').length > count);
  }

  say(text: string): void {
    this.socket.write(text, 'latin1');
  }

  answer(body: string): void {
    this.say(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  }
}

export class ScriptedRuntime {
  readonly connections: RuntimeConnection[] = [];
  readonly #server: Server;
  #changed: () => void = () => undefined;

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => {
      this.connections.push(new RuntimeConnection(socket));
      this.#changed();
    });
  }

  static async start(): Promise<ScriptedRuntime> {
    const server = createServer({ allowHalfOpen: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new ScriptedRuntime(server);
  }

  get port(): number {
    // A server that listens on TCP has an address of this shape.
    return (this.#server.address() as AddressInfo).port;
  }

  /** The n-th connection, from 0 on, as soon as there is one. */
  async connection(place: number): Promise<RuntimeConnection> {
    for (;;) {
      const found = this.connections[place];
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  close(): void {
    for (const { socket } of this.connections) socket.destroy();
    this.#server.close();
  }
}

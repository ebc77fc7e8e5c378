// Stands between the front and the runtime behind it, and counts what passes.

import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** What the front sends to the runtime: the first lines of all requests. */
export class Tap {
  readonly #server: Server;
  readonly heads: string[] = [];
  /** What came on connections that were stalled, since then. */
  stalledBytes = 0;
  readonly #stalled = new Set<Socket>();
  readonly #fronts = new Set<Socket>();

  private constructor(port: number) {
    this.#server = createServer((from) => {
      this.#fronts.add(from);
      from.on('close', () => this.#fronts.delete(from));
      const to = connect({ host: '127.0.0.1', port, noDelay: true });
      let line = '';
      from.on('data', (bytes) => {
        if (this.#stalled.has(from)) this.stalledBytes += bytes.byteLength;
        const lines = (line + bytes.toString('latin1')).split('\n');
        // A line may come in two parts.
        line = lines.pop()?.slice(-8_192) ?? '';
        for (const whole of lines) {
          const [head] = /[A-Z]+ \S+ HTTP\/1\.1\r$/.exec(whole) ?? [];
          if (head !== undefined) this.heads.push(`${head}\n`);
        }
        to.write(bytes);
      });
      to.on('data', (bytes) => from.write(bytes));
      for (const [one, other] of [
        [from, to],
        [to, from],
      ] as const) {
        one.on('error', () => other.destroy());
        one.on('close', () => other.destroy());
        one.on('end', () => other.end());
      }
    });
  }

  static async before(port: number): Promise<Tap> {
    const tap = new Tap(port);
    await new Promise<void>((resolve) => {
      tap.#server.listen(0, '127.0.0.1', resolve);
    });
    return tap;
  }

  get port(): number {
    // A server that listens on TCP has an address of this shape.
    return (this.#server.address() as AddressInfo).port;
  }

  /** The runtime reads nothing of what the front sends on the connections that are there. */
  stall(): void {
    for (const from of this.#fronts) this.#stalled.add(from.pause());
  }

  goOn(): void {
    for (const from of this.#fronts) from.resume();
  }

  close(): void {
    this.#server.close();
  }
}

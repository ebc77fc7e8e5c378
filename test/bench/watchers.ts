// Many connections that watch one key: WebSockets of Quorate's /v1/watch, and streaming answers of etcd's /v3/watch,
// which is what its JSON gateway has. Events are counted in the bytes as they come, because parsing a million of them
// would measure this client.

import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { type EventLatency, EventTimes } from './event-times.ts';
import type { Subject } from './subjects.ts';
import { base64, keySpaces, post, valueOf } from './workload.ts';

const key = 'bench-watched';
const value = valueOf(keySpaces.read).toString('base64');
/** Each event has this text once, in both protocols. */
const marker = Buffer.from('"mod_revision"');
const openedAtOnce = 50;
const openWaitMs = 60_000;

export class Watchers {
  readonly #subject: Subject;
  readonly #sockets: Socket[] = [];
  readonly #times = new EventTimes();

  private constructor(subject: Subject) {
    this.#subject = subject;
  }

  static async open(subject: Subject, count: number): Promise<Watchers> {
    const watchers = new Watchers(subject);
    try {
      for (let opened = 0; opened < count; opened += openedAtOnce) {
        await Promise.all(Array.from({ length: Math.min(openedAtOnce, count - opened) }, () => watchers.#openOne()));
      }
    } catch (error) {
      watchers.close();
      throw error;
    }
    return watchers;
  }

  measure(seconds: number): Promise<EventLatency> {
    return this.#times.measure(() => post(this.#subject, '/v3/kv/put', { key: base64(key), value }), seconds);
  }

  close(): void {
    for (const socket of this.#sockets.splice(0)) {
      socket.removeAllListeners('close');
      socket.destroy();
    }
  }

  async #openOne(): Promise<void> {
    const { hostname, port } = new URL(this.#subject.url);
    const socket = connect({ host: hostname, port: Number(port) });
    this.#sockets.push(socket);
    socket.write(openingOf(this.#subject));
    const begun = await begins(socket);
    if (begun !== null) throw new Error(`no watch of ${this.#subject.name}: ${begun}`);
    const seen = this.#times.watcher();
    let tail: Buffer = Buffer.alloc(0);
    socket.on('close', () => this.#times.watcherEnded());
    socket.on('data', (part) => {
      const bytes = tail.byteLength === 0 ? part : Buffer.concat([tail, part]);
      let after = 0;
      for (let at = bytes.indexOf(marker); at >= 0; at = bytes.indexOf(marker, after)) {
        after = at + marker.byteLength;
        seen();
      }
      // The beginning of a marker whose end has not come yet.
      tail = Buffer.from(bytes.subarray(Math.max(after, bytes.byteLength - marker.byteLength + 1)));
    });
  }
}

function openingOf(subject: Subject): string {
  const headers = Object.entries({ Host: new URL(subject.url).host, ...subject.headers });
  const lines = headers.map(([name, text]) => `${name}: ${text}\r\n`).join('');
  if (subject.watches === 'websocket') {
    const upgrade = `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n`;
    return `GET /v1/watch?key=${key} HTTP/1.1\r\n${lines}${upgrade}\r\n`;
  }
  const body = JSON.stringify({ create_request: { key: base64(key) } });
  return `POST /v3/watch HTTP/1.1\r\n${lines}Content-Length: ${body.length}\r\n\r\n${body}`;
}

/** Resolves when the watch says that it was created, with null, or when it says something else, with that text. */
function begins(socket: Socket): Promise<string | null> {
  return new Promise((resolve) => {
    let text = '';
    const settle = (said: string | null): void => {
      clearTimeout(timer);
      socket.removeAllListeners('data').removeAllListeners('close').removeAllListeners('error');
      socket.on('error', () => undefined);
      resolve(said);
    };
    const timer = setTimeout(() => settle(`nothing within ${openWaitMs} ms`), openWaitMs);
    socket.on('data', (part) => {
      text += part.toString('latin1');
      if (/"created"/.test(text)) settle(null);
      else if (!/^HTTP\/1\.1 (101|200)/.test(text)) settle(text.slice(0, 200));
    });
    socket.on('error', (error) => settle(error.message));
    socket.on('close', () => settle('the connection ended'));
  });
}

// A WebSocket watch that survives its connections: whenever one ends it opens another one, from the revision after the
// last that it saw. It keeps everything it saw, for the verification.

import { setTimeout as sleep } from 'node:timers/promises';
import { members, number, parsePair, text, type Pair, type StoreAddress } from './store-client.ts';

const reconnectPauseMs = 100;

export type Seen = { readonly revision: number; readonly pairs: readonly Pair[] };

export class Watcher {
  readonly seen: Seen[] = [];
  readonly violations: string[] = [];
  /** The number of connections after the first. */
  resumed = 0;
  readonly #prefix: string;
  readonly #key: string;
  readonly #url: string;
  #socket: WebSocket | null = null;
  #stopped = false;

  constructor(store: StoreAddress, prefix: string) {
    this.#url = store.url;
    this.#key = store.key;
    this.#prefix = prefix;
    this.#connect();
  }

  get lastRevision(): number {
    return this.seen.at(-1)?.revision ?? 0;
  }

  /** Resolves when the revision was seen. False: that takes too long. */
  async reaches(revision: number, waitMs: number): Promise<boolean> {
    const deadline = Date.now() + waitMs;
    while (this.lastRevision < revision && Date.now() < deadline) await sleep(20);
    return this.lastRevision >= revision;
  }

  stop(): void {
    this.#stopped = true;
    this.#socket?.close();
  }

  #connect(): void {
    const query = new URLSearchParams({ prefix: this.#prefix, from: String(this.lastRevision + 1) });
    const address = `${this.#url.replace(/^http/, 'ws')}/v1/watch?${query.toString()}`;
    // The key is sent as a browser sends it, which cannot set headers on an upgrade.
    const socket = new WebSocket(address, ['Bearer', this.#key]);
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => {
      if (typeof data === 'string') this.#receive(data);
    });
    // A connection that could not be made ends with "error" alone; one that broke ends with "close", or with both.
    let isOver = false;
    const onOver = (): void => {
      if (isOver || this.#stopped) return;
      isOver = true;
      setTimeout(() => this.#reconnect(), reconnectPauseMs);
    };
    socket.addEventListener('error', onOver);
    socket.addEventListener('close', onOver);
  }

  #reconnect(): void {
    if (this.#stopped) return;
    this.resumed++;
    this.#connect();
  }

  #receive(data: string): void {
    const frame = members(JSON.parse(data));
    switch (text(frame, 'type')) {
      case 'created':
      case 'progress':
        return;
      case 'events':
        this.#take(frame.get('events'));
        return;
      case 'canceled':
        if (frame.get('reason') === 'failed') this.violations.push(`the watch was refused: ${data}`);
        return;
      default:
        this.violations.push(`a frame of an unknown type: ${data.slice(0, 200)}`);
    }
  }

  /** A frame may hold several revisions, each of them whole. */
  #take(events: unknown): void {
    if (!Array.isArray(events)) throw new Error('a frame of type "events" has none');
    const byRevision = new Map<number, Pair[]>();
    for (const event of events) {
      const kv = members(event).get('kv');
      const revision = number(members(kv), 'mod_revision');
      const pairs = byRevision.get(revision) ?? [];
      pairs.push(parsePair(kv));
      byRevision.set(revision, pairs);
    }
    for (const [revision, pairs] of byRevision) {
      if (revision <= this.lastRevision) {
        this.violations.push(`the watch told of revision ${revision} after revision ${this.lastRevision}`);
      }
      this.seen.push({ revision, pairs });
    }
  }
}

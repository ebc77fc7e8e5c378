// The three ways in which a watch is told to a client: server-sent events, lines of JSON, and a WebSocket. Each gives
// the frames' JSON, and the place to go on after where the transport itself tells it (the id of a server-sent event).

import { openWebSocket } from '../support/websocket-client.ts';
import type { StoreAddress } from './store-calls.ts';

export type Transport = 'sse' | 'ndjson' | 'websocket';
export const transports: readonly Transport[] = ['sse', 'ndjson', 'websocket'];

export type WatchOptions = {
  readonly store: StoreAddress;
  readonly query: URLSearchParams;
  readonly nearest: boolean;
  /** Of server-sent events: the id of the last one that was seen, as a browser sends it. */
  readonly lastEventId: string | null;
  readonly signal: AbortSignal;
  /** While this holds no progress is asked for. */
  readonly isPaused: () => boolean;
  readonly frame: (json: string, id: string | null) => void;
};

/** Longer than a group needs to choose a leader. */
const upgradeWaitMs = 15_000;
const progressEveryMs = 700;

/** Resolves when the watch is over, whoever ended it. */
export async function openWatch(transport: Transport, options: WatchOptions): Promise<void> {
  if (transport === 'websocket') return await watchSocket(options);
  const { store, query, nearest, lastEventId, signal, frame } = options;
  try {
    const response = await fetch(`${store.url}/v1/watch?${query.toString()}`, {
      headers: {
        'Quorate-Key': store.key,
        Accept: transport === 'sse' ? 'text/event-stream' : 'application/x-ndjson',
        ...(nearest ? { 'Quorate-Read': 'nearest' } : {}),
        ...(lastEventId === null ? {} : { 'Last-Event-ID': lastEventId }),
      },
      signal,
    });
    if (response.status !== 200 || response.body === null) return void (await response.arrayBuffer());
    const separator = transport === 'sse' ? '\n\n' : '\n';
    for await (const part of partsOf(response.body, separator)) {
      if (transport === 'ndjson') frame(part, null);
      else takeEvent(part, frame);
    }
  } catch (error) {
    // A connection that breaks is what this is about; what the reader makes of a frame is not.
    if (error instanceof FrameFault) throw error;
  }
}

/** What a frame says cannot be: unlike a broken connection it is a fault. */
export class FrameFault extends Error {
  override readonly name = 'FrameFault';
}

async function* partsOf(body: AsyncIterable<Uint8Array>, separator: string): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split(separator);
    rest = parts.pop() ?? '';
    yield* parts;
  }
}

/** HTML, 9.2.6: fields of one event. The JSON is on one line. */
function takeEvent(text: string, frame: WatchOptions['frame']): void {
  const fields = new Map(
    text.split('\n').map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')];
    }),
  );
  const data = fields.get('data');
  if (data !== undefined) frame(data, fields.get('id') ?? null);
}

async function watchSocket({ store, query, nearest, signal, frame, isPaused }: WatchOptions): Promise<void> {
  const headers = { 'Quorate-Key': store.key, ...(nearest ? { 'Quorate-Read': 'nearest' } : {}) };
  const url = new URL(`${store.url}/v1/watch?${query.toString()}`);
  const upgrade = await openWebSocket(url, headers, upgradeWaitMs).catch(() => null);
  const socket = upgrade?.socket ?? null;
  if (socket === null) return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const asking = setInterval(() => {
    if (!isPaused()) socket.send('{"type":"progress"}');
  }, progressEveryMs);
  const cut = (): void => {
    // As a client that goes away: it says nothing.
    socket.close();
    resolve();
  };
  signal.addEventListener('abort', cut);
  socket.onEnd = resolve;
  socket.onMessage = (text) => {
    try {
      frame(text, null);
    } catch (error) {
      reject(error instanceof Error ? error : new Error(String(error)));
    }
  };
  socket.start();
  if (signal.aborted) cut();
  // At once, too: what is not told yet must not be called told.
  if (!isPaused()) socket.send('{"type":"progress"}');
  try {
    await promise;
  } finally {
    clearInterval(asking);
    signal.removeEventListener('abort', cut);
    socket.onMessage = () => undefined;
    socket.close();
  }
}

// The three transports of a watch: server-sent events, lines of JSON, and a WebSocket. Each gives the JSON of the
// frames, and the revision to go on after where the transport itself tells it (the id of a server-sent event).

import { openWebSocket } from '../support/websocket-client.ts';
import type { StoreAddress } from './store-calls.ts';

export type Transport = 'sse' | 'ndjson' | 'websocket';
export const transports: readonly Transport[] = ['sse', 'ndjson', 'websocket'];

export type WatchOptions = {
  readonly store: StoreAddress;
  readonly query: URLSearchParams;
  readonly nearest: boolean;
  /** The id of the last server-sent event that was seen, as a browser sends it. */
  readonly lastEventId: string | null;
  readonly signal: AbortSignal;
  /** While this is true no progress is asked for. */
  readonly isPaused: () => boolean;
  readonly frame: (json: string, id: string | null) => void;
};

/** This is longer than a group needs to choose a leader. */
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
    // Errors of the connection are expected and end the watch; errors of the reader of frames are not.
    if (error instanceof FrameFault) throw error;
  }
}

/** A frame says what cannot be. Unlike a broken connection, that is a violation. */
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
    // Ends the connection as a client that goes away does: without a word.
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
  // The reader stops at once as well: what it is not told yet must not count as told.
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

// Watches and puts over etcd's gRPC, as its Go clients have them: many watches on one stream. The few messages that
// this needs are written here by hand, and events are counted in the bytes as they come, as `watchers.ts` does.

import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import type { EventTimes } from './event-times.ts';

const openWaitMs = 60_000;

/** A field of protobuf with bytes. */
function field(number: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([number * 8 + 2]), lengthOf(bytes.byteLength), bytes]);
}

function lengthOf(count: number): Buffer {
  return count < 128 ? Buffer.from([count]) : Buffer.from([(count % 128) | 128, Math.floor(count / 128)]);
}

/** A message of gRPC: not compressed, its length, its bytes. */
function message(bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.byteLength, 1);
  return Buffer.concat([head, bytes]);
}

export class GrpcWatchers {
  readonly #session: ClientHttp2Session;
  readonly #put: Buffer;

  private constructor(url: string, key: string, value: Uint8Array) {
    this.#session = connect(url, { settings: { initialWindowSize: 4 * 1_048_576 } });
    this.#put = message(Buffer.concat([field(1, Buffer.from(key)), field(2, value)]));
  }

  /** `watches`: on each of so many `streams`, all on `key`, which nothing but events has in it. */
  static async open(
    url: string,
    { key, value, streams, watches }: { key: string; value: Uint8Array; streams: number; watches: number },
    times: EventTimes,
  ): Promise<GrpcWatchers> {
    const watchers = new GrpcWatchers(url, key, value);
    try {
      await Promise.all(Array.from({ length: streams }, () => watchers.#openStream(key, watches, times)));
    } catch (error) {
      watchers.close();
      throw error;
    }
    return watchers;
  }

  readonly put = async (): Promise<void> => {
    const stream = this.#call('/etcdserverpb.KV/Put');
    stream.end(this.#put);
    await new Promise<void>((resolve, reject) => {
      stream.on('trailers', (trailers) => {
        if (trailers['grpc-status'] === '0') resolve();
        else reject(new Error(`a put ended with ${String(trailers['grpc-message'])}`));
      });
      stream.on('error', reject);
      stream.resume();
    });
  };

  close(): void {
    this.#session.destroy();
  }

  #call(path: string): ClientHttp2Stream {
    return this.#session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
  }

  /**
   * Each watch answers `created`; only then do its events count. An event of a stream belongs to any of its watches:
   * they all get the same ones, so the n-th message with an event has the event n / watches.
   */
  async #openStream(key: string, watches: number, times: EventTimes): Promise<void> {
    const stream = this.#call('/etcdserverpb.Watch/Watch');
    const create = message(field(1, field(1, Buffer.from(key))));
    for (let count = 0; count < watches; count++) stream.write(create);
    const marker = Buffer.from(key);
    let tail: Buffer = Buffer.alloc(0);
    let created = 0;
    const seen: (() => void)[] = [];
    let next = 0;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${created} of ${watches} watches were created`)), openWaitMs);
      stream.on('error', reject);
      stream.on('close', () => times.watcherEnded());
      stream.on('data', (part: Buffer) => {
        if (created < watches) {
          tail = Buffer.concat([tail, part]);
          while (tail.byteLength >= 5 && tail.byteLength >= 5 + tail.readUInt32BE(1)) {
            tail = tail.subarray(5 + tail.readUInt32BE(1));
            seen.push(times.watcher());
            if (++created < watches) continue;
            clearTimeout(timer);
            resolve();
          }
          return;
        }
        const bytes = tail.byteLength === 0 ? part : Buffer.concat([tail, part]);
        let after = 0;
        for (let at = bytes.indexOf(marker); at >= 0; at = bytes.indexOf(marker, after)) {
          after = at + marker.byteLength;
          seen[next++ % watches]?.();
        }
        // The beginning of a marker whose end has not come yet.
        tail = Buffer.from(bytes.subarray(Math.max(after, bytes.byteLength - marker.byteLength + 1)));
      });
    });
  }
}

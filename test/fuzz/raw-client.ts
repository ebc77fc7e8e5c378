// Sends bytes to a server and reads no more of the answer than the status, because no client of Node's would send the
// fuzzer's requests. An upgraded connection gets frames, and is then closed or left, as clients do.

import { connect } from 'node:net';

export type RawAnswer =
  | { readonly kind: 'status'; readonly status: number; readonly text: string }
  /** The client left before there was a status. */
  | { readonly kind: 'none' }
  /** The server ended the connection and said nothing. */
  | { readonly kind: 'ended' };

export type RawOptions = {
  readonly port: number;
  /** The client leaves after this time, whatever has come. */
  readonly patienceMs: number;
  /** The frames that are sent once the connection is upgraded. */
  readonly frames: readonly string[];
  /** The client does not read what comes after the head. */
  readonly isDeaf: boolean;
};

const textMax = 2_000;

export function send(bytes: Uint8Array, { port, patienceMs, frames, isDeaf }: RawOptions): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    let text = '';
    const finish = (without: 'none' | 'ended'): void => {
      clearTimeout(timer);
      socket.destroy();
      const status = /^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1];
      resolve(status === undefined ? { kind: without } : { kind: 'status', status: Number(status), text });
    };
    const ended = (): void => finish('ended');
    const timer = setTimeout(() => finish('none'), patienceMs);
    socket.on('connect', () => socket.write(bytes));
    socket.on('data', (part) => {
      const wasEmpty = text === '';
      if (text.length < textMax) text += part.toString('latin1');
      if (!wasEmpty || !text.startsWith('HTTP/1.1 101')) return;
      for (const frame of frames) socket.write(masked(frame));
      if (isDeaf) socket.pause();
    });
    socket.on('error', ended);
    socket.on('close', ended);
    socket.on('end', ended);
  });
}

/** A text frame of RFC 6455, masked as the frames of a client must be. */
function masked(text: string): Uint8Array {
  const payload = Buffer.from(text);
  const { byteLength } = payload;
  const head = byteLength < 126 ? [0x81, 0x80 | byteLength] : [0x81, 0xff, 0, 0, 0, 0, ...bigEndian(byteLength)];
  // A mask of zeros leaves the payload as it is.
  return Buffer.concat([Buffer.from([...head, 0, 0, 0, 0]), payload]);
}

function bigEndian(value: number): readonly number[] {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff);
}

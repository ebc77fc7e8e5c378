// A connection to the Worker's runtime that is read to its end, also once nothing can be written to it. The runtime
// may answer a request before its body has come whole, and reset the connection while the rest is on its way. The
// answer has arrived by then, but a socket of node:net is destroyed by its first write that fails, and the answer
// would be lost.

/* oxlint-disable no-underscore-dangle -- `_write` and `_writev` are what node:stream calls for each write */
import { Socket } from 'node:net';

type Written = (error?: Error | null) => void;

export class UpstreamSocket extends Socket {
  #isBroken = false;

  override _write(bytes: unknown, encoding: BufferEncoding, written: Written): void {
    if (this.#isBroken) written();
    else super._write(bytes, encoding, this.#unlessBroken(written));
  }

  override _writev(parts: { chunk: unknown; encoding: BufferEncoding }[], written: Written): void {
    if (this.#isBroken) written();
    else super._writev?.(parts, this.#unlessBroken(written));
  }

  /** What is written later is thrown away, and the end of what comes tells that the connection has ended. */
  #unlessBroken(written: Written): Written {
    return (error) => {
      if (isEndedByPeer(error)) this.#isBroken = true;
      written(this.#isBroken ? null : error);
    };
  }
}

function isEndedByPeer(error: Error | null | undefined): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EPIPE' || error.code === 'ECONNRESET');
}

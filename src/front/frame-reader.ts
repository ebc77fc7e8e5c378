// Cuts the bytes of a WebSocket into frames (RFC 6455, section 5.2), however they come. It judges no frame.

const finalBit = 0x80;
const reservedBits = 0x70;
const opcodeBits = 0x0f;
const maskBit = 0x80;
const noBytes = Buffer.alloc(0);

export type Frame = {
  readonly opcode: number;
  readonly isFinal: boolean;
  /** An extension was used, and none is known. */
  readonly isReserved: boolean;
  /** Without its mask. It is a view of what came, unless it was masked. */
  readonly payload: Buffer;
};

export type FrameTaker = {
  readonly frame: (frame: Frame) => void;
  /** A frame announces so many bytes, which are more than its reader takes. What comes behind is not read. */
  readonly tooLarge: (bytes: number) => void;
};

export class FrameReader {
  readonly #taker: FrameTaker;
  readonly #payloadBytesMax: number;
  /** Bytes that came, and are no whole frame yet. They are joined once there are enough of them. */
  #unread: Buffer[] = [];
  #unreadBytes = 0;
  #wantedBytes = 0;
  #isEnded = false;

  constructor(taker: FrameTaker, payloadBytesMax = Infinity) {
    this.#taker = taker;
    this.#payloadBytesMax = payloadBytesMax;
  }

  /** Nothing that comes behind counts. */
  end(): void {
    this.#isEnded = true;
    this.#unread = [];
  }

  read(part: Buffer): void {
    if (this.#isEnded) return;
    this.#unread.push(part);
    this.#unreadBytes += part.byteLength;
    if (this.#unreadBytes < this.#wantedBytes) return;
    let bytes = this.#unread.length === 1 ? part : Buffer.concat(this.#unread);
    for (;;) {
      const head = headOf(bytes);
      if (head !== null && head.payloadBytes > this.#payloadBytesMax) {
        this.end();
        this.#taker.tooLarge(head.payloadBytes);
        return;
      }
      const frameBytes = head === null ? 2 : head.headBytes + head.payloadBytes;
      if (head === null || bytes.byteLength < frameBytes) return this.#keep(bytes, frameBytes);
      const payload = bytes.subarray(head.headBytes, frameBytes);
      const { opcode, isFinal, isReserved, mask } = head;
      this.#taker.frame({ opcode, isFinal, isReserved, payload: mask === null ? payload : unmasked(payload, mask) });
      if (this.#isEnded) return;
      bytes = bytes.subarray(frameBytes);
    }
  }

  #keep(bytes: Buffer, wantedBytes: number): void {
    this.#unread = bytes.byteLength === 0 ? [] : [bytes];
    this.#unreadBytes = bytes.byteLength;
    this.#wantedBytes = wantedBytes;
  }
}

type FrameHead = Pick<Frame, 'opcode' | 'isFinal' | 'isReserved'> & {
  readonly headBytes: number;
  readonly payloadBytes: number;
  readonly mask: Buffer | null;
};

/** Null: it is not whole yet. */
function headOf(bytes: Buffer): FrameHead | null {
  if (bytes.byteLength < 2) return null;
  const first = bytes.readUInt8(0);
  const second = bytes.readUInt8(1);
  const short = second & ~maskBit;
  const isMasked = (second & maskBit) !== 0;
  const lengthEnd = short === 126 ? 4 : short === 127 ? 10 : 2;
  const headBytes = lengthEnd + (isMasked ? 4 : 0);
  if (bytes.byteLength < headBytes) return null;
  const payloadBytes = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? longLength(bytes) : short;
  return {
    opcode: first & opcodeBits,
    isFinal: (first & finalBit) !== 0,
    isReserved: (first & reservedBits) !== 0,
    headBytes,
    payloadBytes,
    mask: isMasked ? bytes.subarray(lengthEnd, headBytes) : null,
  };
}

function longLength(bytes: Buffer): number {
  return bytes.readUInt32BE(2) * 2 ** 32 + bytes.readUInt32BE(6);
}

function unmasked(payload: Buffer, mask: Buffer): Buffer {
  if (payload.byteLength === 0) return noBytes;
  const bytes = Buffer.allocUnsafe(payload.byteLength);
  for (let at = 0; at < bytes.byteLength; at++) bytes[at] = (payload[at] ?? 0) ^ (mask[at & 3] ?? 0);
  return bytes;
}

// The frames of a WebSocket as a server sends them: final, and not masked (RFC 6455, section 5.1).

const finalBit = 0x80;
const noBytes = Buffer.alloc(0);

export const opcodes = { continuation: 0x0, text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const;

export function serverFrame(opcode: number, payload: Uint8Array): Buffer {
  const { byteLength } = payload;
  const lengthBytes = byteLength < 126 ? 0 : byteLength < 65_536 ? 2 : 8;
  const frame = Buffer.allocUnsafeSlow(2 + lengthBytes + byteLength);
  frame[0] = finalBit | opcode;
  frame[1] = lengthBytes === 0 ? byteLength : lengthBytes === 2 ? 126 : 127;
  if (lengthBytes === 2) frame.writeUInt16BE(byteLength, 2);
  if (lengthBytes === 8) frame.writeBigUInt64BE(BigInt(byteLength), 2);
  frame.set(payload, 2 + lengthBytes);
  return frame;
}

export function textFrame(text: string): Buffer {
  return serverFrame(opcodes.text, Buffer.from(text, 'utf8'));
}

/** `code` null: a close frame that says nothing. */
export function closeFrame(code: number | null, reason: string): Buffer {
  if (code === null) return serverFrame(opcodes.close, noBytes);
  return serverFrame(opcodes.close, Buffer.from([code >> 8, code & 0xff, ...Buffer.from(reason, 'utf8')]));
}

export const pingFrame: Buffer = serverFrame(opcodes.ping, noBytes);

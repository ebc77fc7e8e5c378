import { describe, expect, it } from 'vitest';
import { frameMessages, MessageReader } from '../../../src/api/grpc/framing.ts';
import { messageBytesMax } from '../../../src/limits.ts';
import { Random } from '../../support/random.ts';

const texts = (messages: readonly Uint8Array[]): string[] => messages.map((each) => new TextDecoder().decode(each));

function head(length: number): Uint8Array {
  const bytes = new Uint8Array(5);
  new DataView(bytes.buffer).setUint32(1, length);
  return bytes;
}

describe('messages in the body of a stream', () => {
  it('GRPC-1: come whole, however their bytes come', () => {
    const random = new Random(16);
    const sent = ['', 'a', 'b'.repeat(300), '', 'c'.repeat(70_000)];
    const bytes = frameMessages(sent.map((each) => new TextEncoder().encode(each)));
    for (let round = 0; round < 100; round++) {
      const reader = new MessageReader(messageBytesMax);
      const came: string[] = [];
      for (let at = 0; at < bytes.byteLength;) {
        const end = at + 1 + random.below(round === 0 ? 1 : 40_000);
        const read = reader.read(bytes.subarray(at, end));
        if (read.kind === 'messages') came.push(...texts(read.messages));
        at = end;
      }
      expect(came).toEqual(sent);
      expect(reader.isInside).toBe(false);
    }
  });

  it('GRPC-2: a message of messageBytesMax is taken, and none that is longer, before its bytes have come', () => {
    const reader = new MessageReader(messageBytesMax);
    expect(reader.read(head(messageBytesMax))).toEqual({ kind: 'messages', messages: [] });
    expect(reader.isInside).toBe(true);
    expect(new MessageReader(messageBytesMax).read(head(messageBytesMax + 1))).toEqual({
      kind: 'refused',
      status: { code: 8, message: 'grpc: received message larger than max (2097153 vs. 2097152)' },
    });
  });

  it('GRPC-2: a message that says it is compressed is refused', () => {
    expect(new MessageReader(10).read(new Uint8Array([1, 0, 0, 0, 0]))).toEqual({
      kind: 'refused',
      status: { code: 13, message: 'grpc: compressed flag set with identity or empty encoding' },
    });
  });
});

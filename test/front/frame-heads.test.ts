import { describe, expect, it } from 'vitest';
import { FrameHeads } from '../../src/front/frame-heads.ts';
import { closeFrame, pingFrame } from '../../src/front/server-frames.ts';

function frame(opcode: number, length: number, masked: boolean): Buffer {
  const mask = masked ? [1, 2, 3, 4] : [];
  const bit = masked ? 0x80 : 0;
  const size =
    length < 126
      ? [bit | length]
      : length < 65_536
        ? [bit | 126, length >> 8, length & 0xff]
        : [bit | 127, 0, 0, 0, 0, 0, length >> 16, (length >> 8) & 0xff, length & 0xff];
  return Buffer.concat([Buffer.from([opcode, ...size, ...mask]), Buffer.alloc(length, 0x88)]);
}

describe('FRONT-15: the frames of a WebSocket are told from each other, however their bytes come', () => {
  const lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 70_000];

  it('knows where each one ends, and sees the close frame alone', () => {
    for (const masked of [true, false]) {
      for (const length of lengths) {
        for (const piece of [1, 3, 1_000, 100_000]) {
          const bytes = Buffer.concat([frame(0x82, length, masked), frame(0x09, 3, masked)]);
          const heads = new FrameHeads();
          const ends: number[] = [];
          let counted = 0;
          for (let at = 0; at < bytes.byteLength; at += piece) {
            counted += heads.pass(bytes.subarray(at, at + piece));
            if (heads.isBetween) ends.push(counted);
          }
          const first = frame(0x82, length, masked).byteLength;
          const seen = [first, bytes.byteLength].filter((end) => end % piece === 0 || end === bytes.byteLength);
          expect([length, piece, ends, heads.isClosed]).toEqual([length, piece, seen, false]);
        }
      }
    }
  });

  it('counts nothing behind the close frame', () => {
    for (const close of [frame(0x88, 0, false), frame(0x88, 2, true), closeFrame(1_001, 'the server ends')]) {
      const heads = new FrameHeads();
      heads.pass(close.subarray(0, close.byteLength - 1));
      expect(heads.isClosed).toBe(false);
      expect(heads.pass(Buffer.concat([close.subarray(-1), pingFrame]))).toBe(1);
      expect(heads.isClosed).toBe(true);
      expect(heads.pass(pingFrame)).toBe(0);
    }
  });
});

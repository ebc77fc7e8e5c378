// SHA-256 against the platform's.

import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.ts';
import { sha256Start } from '../../src/base/sha256.ts';
import { Random } from '../support/random.ts';

it('DIGEST-1: the first 64 bits of SHA-256, of any bytes', () => {
  // FIPS 180-4's examples.
  expect(sha256Start(utf8(''))).toBe(0xe3b0c44298fc1c14n);
  expect(sha256Start(utf8('abc'))).toBe(0xba7816bf8f01cfean);
  const random = new Random(1);
  for (let length = 0; length <= 1_100; length++) {
    const message = Uint8Array.from({ length }, () => random.below(256));
    expect(sha256Start(message)).toBe(createHash('sha256').update(message).digest().readBigUInt64BE(0));
  }
});

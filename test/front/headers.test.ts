// What the front says to the runtime of where a request comes from.

import { describe, expect, it } from 'vitest';
import { requestLines } from '../../src/front/headers.ts';

const sent = ['Host', 'a', 'cf-connecting-ip', '192.0.2.9', 'CF-Connecting-IP', '192.0.2.8'];

describe('FRONT-17: the address of the client is that of its connection, whatever it sends', () => {
  it.each([
    ['192.0.2.1', 'CF-Connecting-IP: 192.0.2.1\r\n'],
    ['::ffff:192.0.2.1', 'CF-Connecting-IP: 192.0.2.1\r\n'],
    ['2001:db8::1', 'CF-Connecting-IP: 2001:db8::1\r\n'],
    ['127.0.0.1', ''],
    ['::ffff:127.0.0.1', ''],
    ['::1', ''],
    [undefined, ''],
  ])('%s', (address, line) => {
    const from = { address, requestId: 'r1', authority: null };
    expect(requestLines(sent, from)).toBe(`${line}X-Request-Id: r1\r\nHost: a\r\n`);
  });
});

// Tests of what the benchmark reads out of bytes and figures, where a mistake would show as a wrong speed and not as a
// failure.

import { describe, expect, it } from 'vitest';
import { medianOf, percentileOf, requestsPerSecondIn } from './figures.ts';
import { parseAnswer } from './raw-http.ts';
import { figureText, lineOf, tableText } from './report.ts';

describe('an answer in bytes', () => {
  const whole = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';
  const chunked = 'HTTP/1.1 429 X\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nB\r\nhello world\r\n0\r\n\r\n';

  it('is read by either framing, whatever comes behind it', () => {
    for (const [text, status, bodyBytes] of [
      [whole, 200, 5],
      [chunked, 429, 16],
    ] as const) {
      const parsed = parseAnswer(Buffer.from(`${text}HTTP/1.1`));
      const body = Buffer.from(text.slice(text.indexOf('\r\n\r\n') + 4));
      expect(parsed).toEqual({ answer: { status, bodyBytes, body }, endsAt: text.length });
      for (let cut = 0; cut < text.length; cut++) expect(parseAnswer(Buffer.from(text.slice(0, cut)))).toBeNull();
    }
  });
});

describe('figures', () => {
  it('have a median and percentiles', () => {
    expect(medianOf([3, 1, 2])).toBe(2);
    expect(medianOf([4, 1, 3, 2])).toBe(2.5);
    expect(percentileOf([1, 2, 3, 4], 0.5)).toBe(3);
    expect(percentileOf([1, 2, 3, 4], 0.99)).toBe(4);
  });

  it('are told with a ratio where both sides have them', () => {
    const row = { id: 'a', title: 'A', unit: '/s', target: 'none' } as const;
    const rounds = new Map([
      ['quorate', [100, 300, 200]],
      ['etcd', [400]],
    ]);
    const line = lineOf(row, rounds, ['quorate', 'other', 'etcd']);
    expect([...line.medians.values()]).toEqual([200, 400]);
    expect([...line.ratios]).toEqual([['etcd', 0.5]]);
    expect(tableText([line], ['quorate', 'other', 'etcd'])).toContain(
      '| A | 200/s   | –     | 400/s | –        | 0.50×   |',
    );
    expect([figureText(1_234, '/s'), figureText(0.123, 'ms'), figureText(83.25, 'ms')]).toEqual([
      '1,234/s',
      '0.12 ms',
      '83.3 ms',
    ]);
  });

  it("of etcd's tool are read from what it prints", () => {
    expect(requestsPerSecondIn('Summary:\n  Total:\t1.0 secs.\n  Requests/sec:\t6440.1234\n')).toBe(6440.1234);
    expect(() => requestsPerSecondIn('Error')).toThrow('Requests/sec');
  });
});

import { describe, expect, it } from 'vitest';
import { PingStrikes } from '../../../src/front/grpc/ping-strikes.ts';
import { grpcPingIdleMsMin, grpcPingMsMin, grpcPingStrikesMax } from '../../../src/limits.ts';

const after = (pauseMs: number, hasStreams: boolean, count: number): boolean[] => {
  const strikes = new PingStrikes();
  return Array.from({ length: count }, (_, index) => strikes.ping(index * pauseMs, hasStreams));
};

describe('pings of a client', () => {
  it.each([
    [true, grpcPingMsMin],
    [false, grpcPingIdleMsMin],
  ])('GRPC-32: with streams %s, may come each %d ms, and not sooner', (hasStreams, pauseMs) => {
    expect(after(pauseMs, hasStreams, 100)).not.toContain(false);
    // The first one comes after nothing.
    const allowed = 1 + grpcPingStrikesMax;
    expect(after(pauseMs - 1, hasStreams, allowed + 1)).toEqual([...Array(allowed).fill(true), false]);
  });

  it('GRPC-32: come as often as they like while the client is sent something', () => {
    const strikes = new PingStrikes();
    for (let count = 0; count < 100; count++) {
      expect(strikes.ping(count, true)).toBe(true);
      if (count % 2 === 0) strikes.sent();
    }
  });
});

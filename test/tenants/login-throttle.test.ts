// How long a login that failed makes the next try wait.

import { describe, expect, it } from 'vitest';
import { loginNamesMax, loginsForgottenMs } from '../../src/limits.ts';
import {
  bySource,
  byTenant,
  byUser,
  byUserAndSource,
  LoginThrottle,
  type ThrottledName,
} from '../../src/tenants/login-throttle.ts';

function failTimes(throttle: LoginThrottle, names: readonly ThrottledName[], times: number): void {
  for (let time = 0; time < times; time++) throttle.failed(names, 0);
}

describe('AUTH-20: failed logins slow down the next one under each of their names', () => {
  it('after those that are free, twice as long each time, up to the longest', () => {
    const throttle = new LoginThrottle();
    const names = [byUser('t', 'u')];
    failTimes(throttle, names, 5);
    expect(throttle.delayMs(names, 0)).toBe(0);
    const delays = [1, 2, 3, 4, 5, 6].map(() => {
      throttle.failed(names, 0);
      return throttle.delayMs(names, 0);
    });
    expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    expect(throttle.delayMs(names, 9_999)).toBe(1);
    expect(throttle.delayMs(names, 10_000)).toBe(0);
  });

  it('of all names the one that waits longest counts; other users of the tenant wait less, other tenants not at all', () => {
    const throttle = new LoginThrottle();
    const guesser = [bySource('192.0.2.1'), byTenant('t'), byUser('t', 'u'), byUserAndSource('t', 'u', '192.0.2.1')];
    failTimes(throttle, guesser, 20);
    expect(throttle.delayMs(guesser, 0)).toBe(60_000);
    expect(throttle.delayMs([bySource('192.0.2.2'), byTenant('t'), byUser('t', 'u')], 0)).toBe(10_000);
    expect(throttle.delayMs([bySource('192.0.2.2'), byTenant('t'), byUser('t', 'other')], 0)).toBe(5_000);
    expect(throttle.delayMs([bySource('192.0.2.2'), byTenant('other'), byUser('other', 'u')], 0)).toBe(0);
  });

  it('a success ends what was held against its user, and not what was held against the source', () => {
    const throttle = new LoginThrottle();
    const names = [bySource('s'), byUser('t', 'u')];
    failTimes(throttle, names, 20);
    throttle.succeeded(names);
    expect(throttle.delayMs([byUser('t', 'u')], 0)).toBe(0);
    expect(throttle.delayMs([bySource('s')], 0)).toBe(60_000);
  });

  it('loginsForgottenMs after the last failure nothing is left', () => {
    const throttle = new LoginThrottle();
    const names = [byUser('t', 'u')];
    failTimes(throttle, names, 5);
    throttle.failed(names, loginsForgottenMs - 1);
    expect(throttle.delayMs(names, loginsForgottenMs - 1)).toBe(1_000);
    throttle.failed(names, 2 * loginsForgottenMs);
    expect(throttle.delayMs(names, 2 * loginsForgottenMs)).toBe(0);
  });
});

it('AUTH-21: loginNamesMax names are remembered, and with one more the oldest is forgotten', () => {
  const throttle = new LoginThrottle();
  const first = [byUser('t', 'first')];
  failTimes(throttle, first, 6);
  for (let number = 1; number < loginNamesMax; number++) throttle.failed([byUser('t', String(number))], 0);
  expect([throttle.size, throttle.delayMs(first, 0)]).toEqual([loginNamesMax, 1_000]);
  throttle.failed([byUser('t', 'one more')], 0);
  expect([throttle.size, throttle.delayMs(first, 0)]).toEqual([loginNamesMax, 0]);
});

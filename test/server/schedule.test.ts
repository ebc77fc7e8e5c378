// The server's clock for what a deployed Worker does at its cron trigger.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { scheduleMs } from '../../src/limits.ts';
import { startSchedule } from '../../src/server/schedule.ts';

describe('SERVER-SCHEDULE-1: the schedule runs', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('at the start, every scheduleMs, and not once it has ended', async () => {
    let runs = 0;
    const end = startSchedule(() => Promise.resolve(void runs++));
    expect(runs).toBe(1);
    await vi.advanceTimersByTimeAsync(scheduleMs - 1);
    expect(runs).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(runs).toBe(2);
    await end();
    await vi.advanceTimersByTimeAsync(10 * scheduleMs);
    expect(runs).toBe(2);
  });

  it('one at a time, and its end waits for the one under way', async () => {
    const finish: (() => void)[] = [];
    const end = startSchedule(() => new Promise((resolve) => finish.push(resolve)));
    await vi.advanceTimersByTimeAsync(3 * scheduleMs);
    expect(finish).toHaveLength(1);
    finish[0]?.();
    await vi.advanceTimersByTimeAsync(scheduleMs);
    expect(finish).toHaveLength(2);
    let hasEnded = false;
    const ending = end().then(() => {
      hasEnded = true;
    });
    await vi.advanceTimersByTimeAsync(1);
    expect(hasEnded).toBe(false);
    finish[1]?.();
    await ending;
  });

  it('again after one that failed', async () => {
    const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    let runs = 0;
    const end = startSchedule(() => Promise.reject(new Error(`failed ${runs++}`)));
    await vi.advanceTimersByTimeAsync(scheduleMs + 2_000);
    expect(runs).toBe(2);
    expect(said.mock.calls.join()).toContain('failed 1');
    const ending = end();
    await vi.advanceTimersByTimeAsync(5_000);
    await ending;
    said.mockRestore();
  });
});

// Virtual time and a fixed chance for the tests of a file.

import { afterAll, afterEach, beforeAll, beforeEach, vi } from 'vitest';
import { requestTimeoutMs } from '../../src/limits.ts';
import { seededRandom } from './random.ts';
import { leaveCrashesUnhandled, pass } from './virtual-crash.ts';

export function inVirtualTime(): void {
  let handleAgain: (() => void) | null = null;
  beforeAll(() => {
    handleAgain = leaveCrashesUnhandled();
  });
  afterAll(() => handleAgain?.());
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'] });
    vi.spyOn(Math, 'random').mockImplementation(seededRandom(7));
  });
  afterEach(() => {
    vi.restoreAllMocks();
    vi.useRealTimers();
  });
}

export type Answer = { readonly status: number; readonly body: unknown; readonly tookMs: number };

/** The outcome of a call that just began. Null: there is none within the time of a request. */
export async function answerTo(call: Promise<Response>): Promise<Answer | null> {
  const startMs = Date.now();
  let answer: Answer | null = null;
  const noted = call.then(
    async (response) => {
      const tookMs = Date.now() - startMs;
      const text = await response.text();
      answer = { status: response.status, tookMs, body: text === '' ? null : JSON.parse(text) };
    },
    () => {},
  );
  await pass(requestTimeoutMs + 100);
  await Promise.race([noted, Promise.resolve()]);
  return answer;
}

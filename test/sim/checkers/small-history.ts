// Short forms for small histories in tests of the checkers.

import type { Answer, Input, Operation, SeenPair, Write } from './history.ts';

export type Asked = Partial<Input>;

export const put = (key: string, value: string): Write => ({ kind: 'put', key, value });
export const remove = (key: string): Write => ({ kind: 'delete', key });

export function input(asked: Asked): Input {
  return { when: [], writes: [], reads: [], serializable: false, ...asked };
}

/** The [call, return] of a client that was answered. */
export function answered(times: readonly [number, number], asked: Asked, answer: Partial<Answer>): Operation {
  const [call, end] = times;
  const whole: Answer = { held: true, revision: 1, deleted: null, pairs: [], ...answer };
  return { client: 0, call, input: input(asked), outcome: { kind: 'answered', return: end, answer: whole } };
}

export function lost(call: number, asked: Asked): Operation {
  return { client: 0, call, input: input(asked), outcome: { kind: 'lost', why: 'cut' } };
}

export function refused(times: readonly [number, number], asked: Asked): Operation {
  return { client: 0, call: times[0], input: input(asked), outcome: { kind: 'refused', return: times[1], why: '429' } };
}

export function pair(mod: number, value: string | null, version: number | null = null): SeenPair {
  return { mod, value, version, create: null };
}

/** A put and its revision, and a read and what it saw: most of what the tests need. */
export function puts(times: readonly [number, number], key: string, value: string, revision: number): Operation {
  return answered(times, { writes: [put(key, value)] }, { revision });
}

export function gets(
  times: readonly [number, number],
  key: string,
  seen: SeenPair | null,
  revision: number,
  serializable = false,
): Operation {
  return answered(times, { reads: [key], serializable }, { revision, pairs: [seen] });
}

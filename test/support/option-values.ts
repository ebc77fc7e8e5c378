// The values of options: what is no value of its option is refused as a wrong command line is.

import { refuse } from '../../src/cli/command-line.ts';

export function wholeNumber(option: string, text: string, min = 1): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  return value >= min ? value : refuse(`${option} takes a whole number from ${min} on, not "${text}"`);
}

export function choice<Word extends string>(option: string, text: string, words: readonly Word[]): Word {
  return words.find((word) => word === text) ?? refuse(`${option} takes one of ${words.join(', ')}, not "${text}"`);
}

// Headers as node:http lists them, beside the platform's own.

import { expect, it } from 'vitest';
import { ListedHeaders } from '../../src/front/request-headers.ts';

const lists: readonly (readonly string[])[] = [
  [],
  ['Quorate-Key', 'a'],
  ['QUORATE-KEY', 'a', 'quorate-key', 'b'],
  ['If-None-Match', '"1"', 'X', '', 'if-none-match', '"2", W/"3"', 'If-None-Match', '*'],
  ['Content-Length', '5', 'X', 'a\tb'],
];

it('FRONT-26: headers are found by their names in any letters, and fields that come again are one list', () => {
  for (const list of lists) {
    const listed = new ListedHeaders(list);
    const platforms = new Headers();
    for (let at = 0; at < list.length; at += 2) platforms.append(list[at] ?? '', list[at + 1] ?? '');
    for (const name of ['quorate-key', 'Quorate-Key', 'if-none-match', 'x', 'content-length', 'absent']) {
      expect([listed.get(name), listed.has(name)]).toEqual([platforms.get(name), platforms.has(name)]);
    }
    expect(listed.isPlain).toBe(true);
  }
});

it('FRONT-26: a value beyond visible ASCII is not plain', () => {
  for (const value of ['\u0001', '\u007f', '\u00e9']) expect(new ListedHeaders(['X', value]).isPlain).toBe(false);
});

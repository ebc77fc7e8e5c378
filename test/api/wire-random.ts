// Seeded randomness for the tests of the wire: texts, JSON, and JSON that was damaged on its way.

import { Random } from '../support/random.ts';

export class WireRandom extends Random {
  text(): string {
    const points = [0x20, 0x22, 0x5c, 0x0a, 0x00, 0x7f, 0xe9, 0x2028, 0x20ac, 0xfeff, 0x1f600, 0x61, 0x2f];
    return String.fromCodePoint(...Array.from({ length: this.below(12) }, () => this.pick(points)));
  }

  json(depth: number): string {
    const space = (): string => this.pick(['', '', '', ' ', '\n', '\t']);
    switch (depth === 0 ? this.below(4) : this.below(6)) {
      case 0:
        return this.pick(['true', 'false', 'null']);
      case 1:
        return this.pick(['0', '-0', '1', '17', '-3.5', '1e3', '2E-2', '9007199254740993', '1.0']);
      case 2:
        return JSON.stringify(this.text());
      case 3:
        return JSON.stringify(this.pick(['Zm9v', '', 'YQ==', '_-8', 'VALUE', '12']));
      case 4:
        return `[${space()}${Array.from({ length: this.below(4) }, () => this.json(depth - 1)).join(`${space()},`)}]`;
      default: {
        const names = ['key', 'range_end', 'limit', 'success', 'compare', 'request_put', 'a', 'b', 'c', 'value'];
        const member = (): string => `${JSON.stringify(this.pick(names))}${space()}:${space()}${this.json(depth - 1)}`;
        return `{${space()}${Array.from({ length: this.below(4) }, member).join(`,${space()}`)}${space()}}`;
      }
    }
  }

  mutate(text: string): string {
    const place = this.below(text.length + 1);
    const piece = this.pick([
      '"',
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '\\',
      '0',
      '1',
      '.',
      'e',
      '-',
      ' ',
      '\u00e9',
      '\0',
      'null',
      't',
    ]);
    return text.slice(0, place) + piece + text.slice(place + this.below(3));
  }
}

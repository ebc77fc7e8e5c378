// Recorded values with their placeholders filled in, so that a codec can be asked for exactly these values. Where any
// value of a type would match, one value of that type stands, the same wherever the recording names it.

import { expect } from 'vitest';
import { spell } from './recording.ts';

const samples: Readonly<Record<string, unknown>> = {
  int64: '7587',
  uint64: '7588',
  number: 4_294_967_295,
  string: 'a “string”',
  strings: ['http://192.0.2.1:2379'],
  bytes: 'YXV0by83YjhmMTM=',
  ttl: '17',
};

export class Concrete {
  readonly #known = new Map<string, unknown>();

  of(value: unknown): unknown {
    if (typeof value === 'string') return this.#text(value);
    if (Array.isArray(value)) return value.map((item) => this.of(item));
    if (typeof value !== 'object' || value === null) return value;
    const members = value as Record<string, unknown>;
    const list = members['$unordered'] ?? members['$contains'];
    if (list !== undefined) return this.of(list);
    return Object.fromEntries(Object.entries(members).map(([name, member]) => [name, this.of(member)]));
  }

  #text(text: string): unknown {
    const typed = /^\$\{(\w*):(\w+)\}$/.exec(text);
    if (typed !== null) {
      const [, name = '', type = ''] = typed;
      const sample = type === 'version' ? expect.stringMatching(/^3\.\d+(\.\d+)?$/) : samples[type];
      if (sample === undefined) throw new Error(`no sample of type ${type}`);
      if (name !== '') this.#known.set(name, sample);
      return sample;
    }
    const only = /^\$\{(\w+)\}$/.exec(text)?.[1];
    if (only !== undefined && this.#known.has(only)) return this.#known.get(only);
    return spell(text).replaceAll(/\$\{(\w+)\}/g, (whole, name: string) => this.#textOf(name) ?? whole);
  }

  #textOf(name: string): string | undefined {
    const value = this.#known.get(name);
    return typeof value === 'string' ? value : undefined;
  }
}

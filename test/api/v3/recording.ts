// The recorded answers of etcd, as far as a codec alone can be compared with them: requests with their answers, and the
// messages of watch streams. What the store decides is not looked at here; `test/conformance` replays it.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { utf8 } from '../../../src/base/bytes.ts';
import type { ApiRequest } from '../../../src/api/contract.ts';

export type Recorded = {
  readonly place: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | null>>;
  readonly text: string;
  readonly status: number;
  readonly answer: unknown;
};

type Step = {
  readonly call?: {
    readonly method?: string;
    readonly path: string;
    readonly headers?: Record<string, string | null>;
    readonly json?: unknown;
    readonly body?: string;
  };
  readonly answer?: { readonly status: number; readonly json?: unknown };
  readonly send?: string;
  readonly json?: unknown;
  readonly body?: string;
  readonly messages?: readonly unknown[];
  readonly watches?: Record<string, readonly unknown[]>;
};

const folder = fileURLToPath(import.meta.resolve('../../corpus/'));

export function corpusFiles(pattern: RegExp): string[] {
  return readdirSync(folder).filter((name) => pattern.test(name));
}

export function steps(file: string): { readonly place: string; readonly step: Step }[] {
  const lines = readFileSync(join(folder, file), 'utf8').trim().split('\n').slice(1);
  return lines.map((line, index) => ({ place: `${file}:${index + 2}`, step: JSON.parse(line) as Step }));
}

/** Writes `${unit*n}` out. Captured values do not occur in the recordings that are read here. */
export function spell(text: string): string {
  return text.replaceAll(/\$\{([^*}]+)\*(\d+)\}/g, (_, unit: string, times: string) => unit.repeat(Number(times)));
}

export function calls(pattern: RegExp): Recorded[] {
  return corpusFiles(pattern).flatMap((file) =>
    steps(file).flatMap(({ place, step: { call, answer } }) => {
      if (call === undefined || answer === undefined) return [];
      const text = call.json === undefined ? (call.body ?? '') : JSON.stringify(call.json);
      return {
        place,
        method: call.method ?? 'POST',
        path: call.path,
        headers: call.headers ?? {},
        text: spell(text),
        status: answer.status,
        answer: answer.json === undefined ? undefined : JSON.parse(spell(JSON.stringify(answer.json))),
      };
    }),
  );
}

export function requestOf({ method, path, headers, text }: Recorded): ApiRequest {
  const [before = '', query = ''] = path.split('?');
  const sent = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    if (value !== null && !/[^ -\xff]/.test(value)) sent.set(name, value);
  }
  return { method, path: before, query, headers: sent, body: utf8(text) };
}

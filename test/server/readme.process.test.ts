// The shell lines of README.md, pasted into a shell beside a server as their reader does it, and then pasted again.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startQuorate, type QuorateProcess } from '../support/quorate-process.ts';

const printedUrl = 'http://127.0.0.1:8787';
const betweenPastes = 'pasted';

let folder: string;
let server: QuorateProcess;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'quorate-readme-'));
  server = await startQuorate({ dataFolder: join(folder, '.quorate') });
});

afterAll(async () => {
  await server.dispose();
  rmSync(folder, { recursive: true, force: true });
});

function shellLines(text: string): string {
  return [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, lines]) => lines).join('');
}

/** A curl that is the real one, and also tells on stderr the status that it read. */
function tellingCurl(): string {
  const file = join(folder, 'curl');
  const path = process.env['PATH'] ?? '';
  writeFileSync(file, `#!/bin/sh\nPATH='${path}' exec curl "$@" -w '%{stderr}%{http_code}\\n'\n`);
  chmodSync(file, 0o755);
  return `${folder}:${path}`;
}

describe('the README', () => {
  it('SERVER-README-1: its lines work as they are printed, and work when they are pasted again', async () => {
    const [, text = ''] = /^## Five minutes\n(.*?)^## /ms.exec(readFileSync('README.md', 'utf8')) ?? [];
    const lines = shellLines(text).replaceAll(printedUrl, server.ready.url);
    const shell = spawn('sh', ['-s'], { cwd: folder, env: { ...process.env, PATH: tellingCurl() } });
    let told = '';
    shell.stdout.resume();
    shell.stderr.setEncoding('utf8').on('data', (part: string) => (told += part));
    shell.stdin.end(`${lines}\necho ${betweenPastes} >&2\n${lines}`);
    await once(shell, 'close');
    const [first, second] = told.split(`${betweenPastes}\n`).map((text) => text.trim().split('\n'));
    const calls = lines.match(/\b(?:q|op) (?=-|\$|"\$)/g) ?? [];
    expect(calls.length).toBeGreaterThan(20);
    expect(first).toHaveLength(calls.length);
    // The one put whose condition no longer holds.
    expect(first?.filter((status) => !/^20\d$/.test(status))).toEqual(['412']);
    expect(second).toEqual(first);
  });

  it('SERVER-README-2: its lines have no comment, which the zsh of a terminal would take for words', () => {
    for (const path of ['README.md', 'test/README.md']) {
      const lines = shellLines(readFileSync(path, 'utf8')).split('\n');
      expect(lines.filter((line) => /(?:^|\s)#/.test(line))).toEqual([]);
    }
  });
});

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { importHistory } from '../sim/checkers/porcupine-json.ts';
import { nanosecondsOfTime } from './recorder.ts';

function run(...words: string[]) {
  const main = fileURLToPath(import.meta.resolve('./main.ts'));
  const node = ['--disable-warning=ExperimentalWarning', main, ...words];
  const { status, stdout, stderr } = spawnSync(process.execPath, node, { encoding: 'utf8', timeout: 240_000 });
  return { status, stdout, stderr };
}

describe('chaos on a real server', () => {
  it('CHAOS-1: through crashes, cuts, losses, hangs and kills no answer and no watch breaks a rule, and the history can be written', () => {
    const folder = mkdtempSync(join(tmpdir(), 'quorate-history-'));
    try {
      const file = join(folder, 'history.jsonl');
      let answered = 0;
      // On a machine that does much else at the time it takes longer until a history shows something.
      for (let seconds = 12; seconds <= 48 && answered <= 200; seconds *= 2) {
        const { status, stdout, stderr } = run('--seconds', String(seconds), '--seed', '7', '--history', file);
        expect(stdout + stderr).toContain('No violation.');
        expect(status).toBe(0);
        expect(stdout).toMatch(/fault: /);
        const history = importHistory(readFileSync(file, 'utf8'), nanosecondsOfTime);
        answered = history.filter(({ outcome }) => outcome.kind === 'answered').length;
      }
      expect(answered).toBeGreaterThan(200);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }, 240_000);

  it('CHAOS-2: the help names every option; what is wrong ends with 2 and is named', () => {
    const { status, stdout } = run('--help');
    expect(status).toBe(0);
    for (const name of ['seconds', 'seed', 'history', 'help']) expect(stdout).toContain(`--${name} `);
    for (const words of [['--seconds', '0'], ['--seed', 'x'], ['--unknown']]) {
      const refused = run(...words);
      expect([refused.status, refused.stderr]).toEqual([2, expect.stringContaining(words[0] ?? '')]);
    }
  });
});

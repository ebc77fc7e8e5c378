import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };

/** `[name, the words after "node"]` of each program that npm runs, but `npm start`, which has tests of its own. */
const programs = Object.entries<string>(packageJson.scripts)
  .filter(([name, command]) => name !== 'start' && command.startsWith('node '))
  .map(([name, command]) => ({ name, words: command.split(' ').slice(1) }));

async function run(words: readonly string[]) {
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => (stdout += part));
  child.stderr.setEncoding('utf8').on('data', (part: string) => (stderr += part));
  await once(child, 'close');
  return { code: child.exitCode, stdout, stderr };
}

describe.concurrent('the programs that npm runs', () => {
  it.each(programs)('PROGRAM-1: npm run $name says what it does and takes', async ({ name, words }) => {
    const { code, stdout, stderr } = await run([...words, '--help']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.startsWith(`Usage: npm run ${name.replace(':bugs', '')}`)).toBe(true);
    expect(stdout).toMatch(/^ {2}--help +print this$/m);
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(160);
  });

  it.each(programs)('PROGRAM-2: npm run $name refuses an option that it does not know', async ({ words }) => {
    const { code, stdout, stderr } = await run([...words, '--nonsense']);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^\S+: Unknown option '--nonsense' \(--help lists the options\)\n$/);
  });
});

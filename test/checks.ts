// `npm run check`, and its parts: scripts of package.json that run side by side. The output of the last script, which
// has the tests, is shown as it comes, and that of each other one when it has ended. The first script that fails ends
// all the others.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import packageJson from '../package.json' with { type: 'json' };
import { commandLine } from '../src/cli/command-line.ts';

type Script = keyof typeof packageJson.scripts;

const ofSource = ['check:format', 'check:lint', 'check:types'] as const;
const checks: ReadonlyMap<string, readonly Script[]> = new Map<string, readonly Script[]>([
  ['check', [...ofSource, 'check:tests']],
  ['check:fast', [...ofSource, 'check:pure']],
  ['check:static', ofSource],
]);

type Running = { readonly script: Script; readonly child: ChildProcess; readonly end: Promise<End> };
type End = { readonly code: number; readonly output: string };

function start(script: Script, isShown: boolean): Running {
  const to = isShown ? 'inherit' : 'pipe';
  // With `exec` there is no shell between this process and the command, so a signal reaches the command itself.
  const child = spawn('sh', ['-c', `exec ${packageJson.scripts[script]}`], { stdio: ['ignore', to, to] });
  return { script, child, end: endOf(child) };
}

async function endOf(child: ChildProcess): Promise<End> {
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (part: string) => {
      output += part;
    });
  }
  await once(child, 'close');
  return { code: child.exitCode ?? 1, output };
}

async function main(): Promise<void> {
  const [name = ''] = process.argv.splice(2, 1);
  const scripts = checks.get(name);
  if (scripts === undefined) throw new Error(`${name} is none of ${[...checks.keys()].join(', ')}`);
  const help = `Usage: npm run ${name}\n\nRuns side by side: ${scripts.join(', ')}.\n\n  --help   print this\n`;
  commandLine(help, {});
  const running = scripts.map((script, place) => start(script, place === scripts.length - 1));
  await Promise.all(
    running.map(async ({ script, end }) => {
      const { code, output } = await end;
      // Another one has failed before, and this one was told to end.
      if (process.exitCode === 1) return;
      process.stdout.write(`${output}${script}: ${code === 0 ? 'passed' : 'failed'}\n`);
      if (code === 0) return;
      process.exitCode = 1;
      for (const { child } of running) child.kill('SIGTERM');
    }),
  );
}

await main();

// `npm run clients`: etcd's clients of other languages, as their registries have them, against `npm start -- --etcd`.

import { spawn } from 'node:child_process';
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { commandLine, refuse } from '../../src/cli/command-line.ts';
import { programOnPath } from '../support/programs.ts';
import { clients, steps, type Client } from './clients.ts';
import { type Served, servedByEtcd, servedByQuorate } from './served.ts';

const help = `Usage: npm run clients -- [options]

Installs etcd's clients from their registries, and runs a program of each against a store of its own:
${steps.join(', ')}.
While a watch is open the server is killed with SIGKILL and started again. A client whose tools are missing is skipped, with a line.

  --only NAMES    some of them, with commas: ${clients.map(({ name }) => name).join(',')}
  --etcd PROGRAM  the same against a real etcd
  --help          print this
`;

/** Of a program; what a registry sends and a compiler makes takes its own time. */
const programMsMax = 180_000;
const prepareTriesMax = 3;
const sources = fileURLToPath(import.meta.resolve('./'));
const work = fileURLToPath(import.meta.resolve('../../node_modules/.cache/quorate-clients'));

async function main(): Promise<void> {
  const values = commandLine(help, { only: { type: 'string' }, etcd: { type: 'string' } });
  const { etcd } = values;
  const chosen = chosenOf(values.only);
  let failed = 0;
  let skipped = 0;
  for (const client of chosen) {
    const missing = client.tools.filter((tool) => programOnPath(tool) === null);
    if (missing.length > 0) {
      skipped++;
      console.log(`${client.name}: skipped, because ${missing.join(' and ')} is not on PATH`);
      continue;
    }
    const problem = await outcomeOf(client, etcd === undefined ? servedByQuorate : () => servedByEtcd(etcd));
    if (problem !== null) failed++;
    console.log(`${client.name}: ${problem ?? `${client.library}: ${steps.join(', ')}`}`);
  }
  console.log(`${chosen.length - failed - skipped} passed, ${failed} failed, ${skipped} skipped`);
  process.exitCode = failed === 0 ? 0 : 1;
}

function chosenOf(only: string | undefined): readonly Client[] {
  if (only === undefined) return clients;
  return only.split(',').map((name) => {
    const known = clients.find((client) => client.name === name);
    return known ?? refuse(`--only knows no "${name}": ${clients.map((client) => client.name).join(', ')}`);
  });
}

/** Null: the program did all that it should. */
async function outcomeOf(client: Client, serve: () => Promise<Served>): Promise<string | null> {
  const folder = join(work, client.name);
  mkdirSync(folder, { recursive: true });
  cpSync(join(sources, client.name), folder, { recursive: true });
  for (const words of client.prepare) {
    const problem = await prepared(words, folder, client);
    if (problem !== null) return problem;
  }
  const served = await serve();
  try {
    return await used(client, folder, served);
  } finally {
    await served.dispose();
  }
}

/** A registry may fail once. */
async function prepared(words: readonly string[], folder: string, client: Client): Promise<string | null> {
  for (let tries = 1; ; tries++) {
    const { code, output } = await run(words, folder, client.environment);
    if (code === 0) return null;
    if (tries === prepareTriesMax) return `${words.join(' ')} ended with ${code}\n${output}`;
  }
}

async function used(client: Client, folder: string, served: Served): Promise<string | null> {
  const done: string[] = [];
  const { code, output } = await run([...client.run, served.address], folder, client.environment, {
    msMax: programMsMax,
    line: async (line, say) => {
      if (line === 'restart') {
        await served.killAndStart();
        say('served\n');
      } else if (line.startsWith('done ')) done.push(line.slice('done '.length));
    },
  });
  const isWhole = done.length === steps.length && done.every((step, place) => step === steps[place]);
  return code === 0 && isWhole ? null : `ended with ${code} after ${done.join(', ')}\n${output}`;
}

type Listening = {
  readonly msMax: number;
  readonly line: (line: string, say: (text: string) => void) => Promise<void>;
};

async function run(
  [command = '', ...words]: readonly string[],
  folder: string,
  environment: Readonly<Record<string, string>>,
  listening?: Listening,
): Promise<{ readonly code: number | string | null; readonly output: string }> {
  const child = spawn(command, words, { cwd: folder, env: { ...process.env, ...environment } });
  let output = '';
  const keep = (text: string): void => {
    output = (output + text).slice(-outputCharactersMax);
  };
  child.stderr.setEncoding('utf8').on('data', keep);
  const killer = listening === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), listening.msMax);
  const ended = new Promise<number | string | null>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(signal ?? code));
  });
  for await (const line of createInterface({ input: child.stdout })) {
    keep(`${line}\n`);
    await listening?.line(line, (text) => child.stdin.write(text));
  }
  const code = await ended;
  clearTimeout(killer);
  return { code, output };
}

const outputCharactersMax = 4_000;

await main();

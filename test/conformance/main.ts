// `npm run conformance`: replays the recorded conversations and says where the answers differ.

import { existsSync, readdirSync } from 'node:fs';
import { join, matchesGlob } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readConversation } from './conversation.ts';
import { programOnPath } from '../support/programs.ts';
import { commandLine, refuse } from '../../src/cli/command-line.ts';
import { wholeNumber } from '../support/option-values.ts';
import { etcdSource } from './etcd-store.ts';
import { quorateSource, startedQuorateSource } from './quorate-store.ts';
import { runLive } from './live/main.ts';
import { plant } from './plant.ts';
import { replayAll } from './replay-all.ts';
import type { StoreSource } from './store.ts';

const help = `Usage: npm run conformance -- [options]
       npm run conformance -- --live [options]

Replays the conversations of test/corpus, each against a fresh store, and shows every answer that differs from etcd's.

  --files PATTERN          replay only files whose name matches, such as 'kv-*'; may be given more than once
  --etcd PROGRAM           replay against a real etcd, one process for each conversation
  --url URL                replay against a Quorate that runs already; the operator's token is in QUORATE_OPERATOR_TOKEN
  --grpc                   say by gRPC what can be said so, and the rest over HTTP
  --plant SEED             falsify one recorded value of each conversation, and check that the replay finds every one
  --concurrency N          how many conversations at a time (4)
  --differences-shown N    how many differences of each conversation are shown (10)
  --verbose                show all differences, and each conversation as it ends
  --help                   print this

With --live, makes random sessions instead, does them at a real etcd, and repeats them at Quorate:

  --sessions N             how many sessions (20)
  --seed S                 the seed of the first session; each further session has the next seed (1)
  --etcd PROGRAM           which etcd (the one on PATH)
  --keep FOLDER            write the conversations of sessions that found a difference into this folder
  --whole                  do not make those sessions shorter
  --concurrency N, --url, --verbose as above

Without --etcd or --url a Quorate server is started, with a data folder that is removed at the end.
`;

const corpus = fileURLToPath(import.meta.resolve('../corpus'));

async function main(): Promise<number> {
  const values = commandLine(help, {
    files: { type: 'string', multiple: true, default: ['*'] },
    etcd: { type: 'string' },
    url: { type: 'string' },
    grpc: { type: 'boolean', default: false },
    plant: { type: 'string' },
    live: { type: 'boolean', default: false },
    sessions: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    keep: { type: 'string' },
    whole: { type: 'boolean', default: false },
    concurrency: { type: 'string', default: '4' },
    'differences-shown': { type: 'string', default: '10' },
    verbose: { type: 'boolean', default: false },
  });
  if (values.live) {
    const etcd = etcdSource(chooseEtcd(values.etcd));
    return await withSource(await chooseSource(undefined, values.url, values.grpc), async (quorate) => {
      const differing = await runLive(
        { etcd, quorate },
        {
          sessions: wholeNumber('--sessions', values.sessions, 1),
          seed: wholeNumber('--seed', values.seed, 0),
          concurrency: wholeNumber('--concurrency', values.concurrency, 1),
          shortens: !values.whole,
          keepIn: values.keep ?? null,
          verbose: values.verbose,
        },
        print,
      );
      return differing === 0 ? 0 : 1;
    });
  }
  const files = readdirSync(corpus)
    .filter((name) => name.endsWith('.jsonl'))
    .filter((name) => values.files.some((pattern) => matches(name, pattern)))
    .toSorted();
  if (files.length === 0) refuse(`no file of test/corpus matches ${values.files.join(', ')}`);
  const shownMax = values.verbose
    ? Number.POSITIVE_INFINITY
    : wholeNumber('--differences-shown', values['differences-shown'], 0);
  return await withSource(await chooseSource(values.etcd, values.url, values.grpc), async (source) => {
    if (values.plant !== undefined) return await findPlanted(source, files, wholeNumber('--plant', values.plant, 0));
    return await report(source, files, {
      concurrency: wholeNumber('--concurrency', values.concurrency, 1),
      shownMax,
      verbose: values.verbose,
    });
  });
}

async function withSource(source: StoreSource, use: (source: StoreSource) => Promise<number>): Promise<number> {
  try {
    return await use(source);
  } finally {
    await source.close();
  }
}

function chooseEtcd(program: string | undefined): string {
  const found = program ?? programOnPath('etcd');
  if (found === null) refuse('--live needs a real etcd: none is on PATH, and --etcd names none');
  return etcdProgram(found);
}

function etcdProgram(program: string): string {
  if (program.includes('/') && !existsSync(program)) refuse(`there is no program ${program}`);
  return program;
}

async function chooseSource(etcd: string | undefined, url: string | undefined, byGrpc: boolean): Promise<StoreSource> {
  if (etcd !== undefined && url !== undefined) refuse('--etcd and --url exclude each other');
  if (etcd !== undefined) {
    return etcdSource(etcdProgram(etcd), { byGrpc });
  }
  if (url === undefined) return await startedQuorateSource({ byGrpc });
  const operatorToken = process.env['QUORATE_OPERATOR_TOKEN'];
  if (operatorToken === undefined) refuse("--url needs the operator's token in QUORATE_OPERATOR_TOKEN");
  return quorateSource({ url: url.replace(/\/$/, ''), operatorToken, byGrpc });
}

type ReportOptions = { readonly concurrency: number; readonly shownMax: number; readonly verbose: boolean };

async function report(source: StoreSource, files: readonly string[], options: ReportOptions): Promise<number> {
  const startedAt = Date.now();
  const conversations = files.map((file) => readConversation(join(corpus, file)));
  let differing = 0;
  const total = await replayAll(conversations, source, options.concurrency, (conversation, replay) => {
    const { length } = replay.differences;
    if (length > 0) differing++;
    if (length > 0 || options.verbose) print(`${conversation.file}: ${replay.compared} answers, ${length} differences`);
    for (const { line, reason } of replay.differences.slice(0, options.shownMax)) print(`  line ${line}: ${reason}`);
    if (length > options.shownMax) print(`  … and ${length - options.shownMax} more (--verbose shows all)`);
  });
  const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
  print(
    `${source.name}: ${conversations.length} conversations, ${total.compared} answers compared, ` +
      `${total.differences.length} differences in ${differing} conversations, ${seconds} s`,
  );
  return total.differences.length === 0 ? 0 : 1;
}

/** The test of the replayer itself: if it missed a planted difference, all of its findings would be worthless. */
async function findPlanted(source: StoreSource, files: readonly string[], seed: number): Promise<number> {
  const planted = files.flatMap((file) => plant(readConversation(join(corpus, file)), seed) ?? []);
  let found = 0;
  const conversations = planted.map(({ conversation }) => conversation);
  await replayAll(conversations, source, 4, (conversation, replay) => {
    const expected = planted.find((candidate) => candidate.conversation === conversation);
    if (expected !== undefined && replay.differences.some(({ line }) => line === expected.line)) found++;
    else print(`${conversation.file}, line ${expected?.line}: ${expected?.what} was not found`);
  });
  print(`${source.name}: ${planted.length} differences planted, ${found} found`);
  return found === planted.length ? 0 : 1;
}

function matches(name: string, pattern: string): boolean {
  return matchesGlob(name, pattern) || matchesGlob(name, `${pattern}.jsonl`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`conformance: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}

// A Quorate server as its users start it, in a process of its own, for tests, the benchmark and the demo. This file
// knows the command line and the line that a ready server prints, and nothing of what is inside.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const startWaitMs = 60_000;
/** What Node compiled for one server, the next one reads from here: a fifth of the time of a start. */
const compileCache = fileURLToPath(import.meta.resolve('../../node_modules/.cache/node-compile-cache'));

export type Ready = {
  readonly url: string;
  readonly operatorToken: string;
  readonly tenant: { readonly id: string; readonly name: string; readonly key: string };
  /** The ports for etcd's clients (`--etcd`). */
  readonly etcd: readonly { readonly url: string; readonly tenant: string }[];
  /** The URL of the fault port. Null: the server was started without --fault-port. */
  readonly faultUrl: string | null;
};

export type StartOptions = {
  /** The data folder, which `dispose` keeps. Absent: a temporary folder is made, and `dispose` removes it. */
  readonly dataFolder?: string;
  /** Further arguments beside --data, --json and, unless it is among these, --port 0. */
  readonly arguments?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** The entry of the server. Absent: that of this checkout. */
  readonly main?: string;
};

export class QuorateProcess {
  readonly ready: Ready;
  readonly dataFolder: string;
  readonly process: ChildProcess;
  readonly #stderr: () => string;
  readonly #removesFolder: boolean;

  constructor(ready: Ready, child: ChildProcess, folder: { path: string; removed: boolean }, stderr: () => string) {
    this.ready = ready;
    this.process = child;
    this.dataFolder = folder.path;
    this.#removesFolder = folder.removed;
    this.#stderr = stderr;
  }

  get stderr(): string {
    return this.#stderr();
  }

  /** The process id of workerd, which runs the Worker. */
  get runtimeProcessId(): number {
    return Number(readFileSync(join(this.dataFolder, 'runtime.pid'), 'utf8'));
  }

  /** Sends the signal and waits for the end. */
  async end(signal: NodeJS.Signals): Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }> {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      const ended = once(this.process, 'exit');
      this.process.kill(signal);
      await ended;
    }
    return { code: this.process.exitCode, signal: this.process.signalCode };
  }

  /** Kills both processes at once, as a crash of the machine would. */
  async killEverything(): Promise<void> {
    process.kill(this.runtimeProcessId, 'SIGKILL');
    await this.end('SIGKILL');
  }

  async dispose(): Promise<void> {
    await this.end('SIGTERM');
    if (this.#removesFolder) rmSync(this.dataFolder, { recursive: true, force: true });
  }
}

/** Resolves when the server is ready. @throws with what the server printed if it ends before that. */
export async function startQuorate(options: StartOptions = {}): Promise<QuorateProcess> {
  const removed = options.dataFolder === undefined;
  const path = options.dataFolder ?? mkdtempSync(join(tmpdir(), 'quorate-data-'));
  const words = ['--data', path, '--json', ...withPort(options.arguments ?? [])];
  const child = spawnQuorate(words, options.environment, options.main);
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (part: string) => {
    stderr += part;
  });
  const line = await firstLine(child);
  if (line === null) {
    if (removed) rmSync(path, { recursive: true, force: true });
    throw new Error(`the server did not start: ${stderr.trim()}`);
  }
  return new QuorateProcess(parseReady(line), child, { path, removed }, () => stderr);
}

/** Runs the server's command with these arguments and no others. */
export function spawnQuorate(
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  main: string = fileURLToPath(import.meta.resolve('../../src/server/main.ts')),
): ChildProcess {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_COMPILE_CACHE: compileCache, ...environment },
  });
  // A test that started a server and fails does not leave it behind.
  const kill = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', kill);
  child.once('exit', () => process.off('exit', kill));
  return child;
}

function withPort(words: readonly string[]): readonly string[] {
  return words.includes('--port') ? words : ['--port', '0', ...words];
}

async function firstLine(child: ChildProcess): Promise<string | null> {
  if (child.stdout === null) throw new Error('the process was started without a stdout');
  const timer = setTimeout(() => child.kill('SIGKILL'), startWaitMs);
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      // Later output is read and dropped, so that the server never waits for its reader.
      child.stdout.resume();
      return line;
    }
    return null;
  } finally {
    clearTimeout(timer);
  }
}

function parseReady(line: string): Ready {
  const ready = members(JSON.parse(line));
  const tenant = members(ready.get('tenant'));
  const faultUrl = ready.get('fault_url');
  const etcd = ready.get('etcd');
  return {
    url: text(ready, 'url'),
    operatorToken: text(ready, 'operator_token'),
    tenant: { id: text(tenant, 'id'), name: text(tenant, 'name'), key: text(tenant, 'key') },
    etcd: Array.isArray(etcd)
      ? etcd.map((each) => ({ url: text(members(each), 'url'), tenant: text(members(each), 'tenant') }))
      : [],
    faultUrl: typeof faultUrl === 'string' ? faultUrl : null,
  };
}

function members(value: unknown): Map<string, unknown> {
  return new Map(typeof value === 'object' && value !== null ? Object.entries(value) : []);
}

function text(values: ReadonlyMap<string, unknown>, name: string): string {
  const value = values.get(name);
  if (typeof value !== 'string') throw new Error(`the server's first line has no "${name}"`);
  return value;
}

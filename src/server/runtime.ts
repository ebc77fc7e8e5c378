// The local runtime: Miniflare with one Worker on its direct socket. Owns workerd from start to end: it never outlives
// this process (run-workerd.sh), and its death is reported, not papered over by a restart.

import { createServer } from 'node:net';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Log, LogLevel, Miniflare, type MiniflareOptions } from 'miniflare';
import { errorCode, errorMessage, ServerFailure } from './failure.ts';
import type { WorkerSettings } from './worker-settings.ts';

const workerName = 'quorate';

export type RuntimeOptions = {
  readonly script: string;
  readonly settings: WorkerSettings;
  /** Text bindings: secrets and variables. */
  readonly texts: Readonly<Record<string, string>>;
  readonly storePath: string;
  readonly runtimePidFile: string;
  readonly temporaryPath: string;
  readonly host: string;
  readonly port: number;
  readonly inspectorPort: number | null;
  /** Called at most once, when workerd ended without being told to. */
  readonly onDeath: () => void;
};

export type Runtime = {
  readonly url: URL;
  readonly directory: D1Database;
  readonly close: () => Promise<void>;
};

/** @throws ServerFailure where the address cannot be used or workerd does not start. */
export async function startRuntime(options: RuntimeOptions): Promise<Runtime> {
  await checkAddress(options.host, options.port);
  prepareLaunch(options);
  let ended = false;
  const miniflare = new Miniflare(
    miniflareOptions(options, () => {
      if (ended) return;
      ended = true;
      options.onDeath();
    }),
  );
  leaveSignalsToServer();
  try {
    await miniflare.ready;
    return {
      url: reachable(await miniflare.unsafeGetDirectURL(workerName)),
      directory: await miniflare.getD1Database('DIRECTORY', workerName),
      close: async () => {
        ended = true;
        await miniflare.dispose();
      },
    };
  } catch (error) {
    ended = true;
    await miniflare.dispose();
    throw startFailure(error, options);
  }
}

function miniflareOptions(options: RuntimeOptions, onDeath: () => void): MiniflareOptions {
  return {
    log: new RuntimeLog(onDeath),
    handleStructuredLogs: ({ level, message }) => {
      process.stderr.write(`${level}: ${message}\n`);
    },
    // Called when Miniflare has put a new workerd in the place of one that died.
    unsafeHandleRuntimeRestart: onDeath,
    // The direct socket is the one that is used; Miniflare's own entry, a proxy, must not take a fixed port from
    // anyone.
    host: '127.0.0.1',
    port: 0,
    // Without this Miniflare asks the network where it is.
    cf: false,
    telemetry: { enabled: false },
    resourcePersistencePath: options.storePath,
    ...(options.inspectorPort === null ? {} : { inspectorHost: '127.0.0.1', inspectorPort: options.inspectorPort }),
    workers: [
      {
        config: {
          name: workerName,
          compatibilityDate: options.settings.compatibilityDate,
          compatibilityFlags: [...options.settings.compatibilityFlags],
          manifest: {
            mainModule: 'worker.mjs',
            modulesRoot: '/',
            modules: { 'worker.mjs': { type: 'esm', contents: options.script } },
          },
          env: {
            DIRECTORY: { type: 'd1', id: 'directory' },
            REPLICA: { type: 'durable-object', worker: workerName, exportName: 'Replica' },
            ...textBindings(options.texts),
          },
          exports: { Replica: { type: 'durable-object', storage: 'sqlite' } },
        },
        dev: {
          unsafeDirectSockets: [{ host: options.host, port: options.port }],
          ...(options.inspectorPort === null ? {} : { unsafeInspectorProxy: true }),
        },
      },
    ],
  };
}

function textBindings(texts: Readonly<Record<string, string>>): Record<string, { type: 'text'; value: string }> {
  return Object.fromEntries(Object.entries(texts).map(([name, value]) => [name, { type: 'text', value }] as const));
}

/** Miniflare logs a restart that failed and then stays up without a runtime: that too is workerd's death. */
class RuntimeLog extends Log {
  readonly #onDeath: () => void;

  constructor(onDeath: () => void) {
    super(LogLevel.NONE);
    this.#onDeath = onDeath;
  }

  override error(message: Error): void {
    if (errorCode(message) === 'ERR_RUNTIME_FAILURE') this.#onDeath();
    else process.stderr.write(`error: ${message.message}\n`);
  }
}

/** What Miniflare takes from the environment alone: the program to start as workerd, and where temporary files go. */
function prepareLaunch(options: RuntimeOptions): void {
  const workerd: unknown = createRequire(createRequire(import.meta.url).resolve('miniflare'))('workerd');
  const program = typeof workerd === 'object' && workerd !== null && 'default' in workerd ? workerd.default : null;
  if (typeof program !== 'string') throw new ServerFailure('the package workerd does not say where its program is');
  process.env['QUORATE_WORKERD'] = process.env['QUORATE_WORKERD'] ?? program;
  process.env['QUORATE_WORKERD_PID_FILE'] = options.runtimePidFile;
  process.env['TMPDIR'] = options.temporaryPath;
  process.env['MINIFLARE_WORKERD_PATH'] = fileURLToPath(import.meta.resolve('./run-workerd.sh'));
}

/** Miniflare ends the process at a signal, at once and with its own exit code. Ending is this server's work. */
function leaveSignalsToServer(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.removeAllListeners(signal);
}

/** Asks the system before Miniflare does: its answer names the reason. */
async function checkAddress(host: string, port: number): Promise<void> {
  const probe = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      probe.once('error', reject);
      probe.listen({ host, port, exclusive: true }, resolve);
    });
    await new Promise<void>((resolve) => {
      probe.close(() => resolve());
    });
  } catch (error) {
    throw addressFailure(error, host, port);
  }
}

function addressFailure(error: unknown, host: string, port: number): ServerFailure {
  switch (errorCode(error) ?? 'none') {
    case 'EADDRINUSE':
    case 'ERR_ADDRESS_IN_USE':
      return new ServerFailure(
        `port ${port} on ${host} is in use; choose another one with --port (0 takes any free one)`,
      );
    case 'EACCES':
      return new ServerFailure(`port ${port} on ${host} needs rights that this user does not have`);
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new ServerFailure(`${host} is not an address of this machine (--host)`);
    default:
      return new ServerFailure(`cannot listen on ${host}, port ${port}: ${errorMessage(error)}`);
  }
}

function startFailure(error: unknown, options: RuntimeOptions): ServerFailure {
  if (error instanceof ServerFailure) return error;
  if (errorCode(error) === 'ERR_ADDRESS_IN_USE') return addressFailure(error, options.host, options.port);
  return new ServerFailure(`the runtime did not start: ${errorMessage(error)}`);
}

/** An address that stands for all of the machine's is not one to connect to. */
function reachable(url: URL): URL {
  if (url.hostname === '0.0.0.0') url.hostname = '127.0.0.1';
  if (url.hostname === '[::]') url.hostname = '[::1]';
  return url;
}

// `npm start`: reads the command line, serves until it is told to end, says what happened in one line each.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { etcdctlWords } from '../front/port.ts';
import { helpText, parseArguments, type ServeOptions } from './arguments.ts';
import { ServerFailure } from './failure.ts';
import type { RunningServer } from './server.ts';

async function main(): Promise<void> {
  const request = parseArguments(process.argv.slice(2));
  switch (request.kind) {
    case 'help':
      process.stdout.write(helpText);
      return;
    case 'version':
      process.stdout.write(`${packageVersion()}\n`);
      return;
    case 'serve':
      await serve(request.options);
  }
}

async function serve(options: ServeOptions): Promise<void> {
  // The import stands here, so that the help and a wrong command line do not wait for the runtime's code.
  const { startServer } = await import('./server.ts');
  const server = await startServer(options, {
    onDeath: () =>
      fail(
        new ServerFailure('workerd, the runtime, ended unexpectedly; what was acknowledged is on disk, so start again'),
      ),
    say: (line) => process.stderr.write(`quorate: ${line}\n`),
  });
  let ending = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      // A second signal does not wait for the ending that the first one began.
      if (ending) process.exit(1);
      ending = true;
      server.close().then(() => process.exit(0), fail);
    });
  }
  process.stdout.write(options.json ? readyLine(server) : welcome(server, options));
}

function readyLine(server: RunningServer): string {
  const fault = server.faultUrl === null ? {} : { fault_url: withoutSlash(server.faultUrl) };
  return `${JSON.stringify({
    url: withoutSlash(server.url),
    operator_token: server.operatorToken,
    tenant: { id: server.tenant.id, name: server.tenant.name, key: server.tenant.key },
    etcd: server.etcd.map(({ url, tenant }) => ({ url: withoutSlash(url), tenant })),
    ...fault,
  })}\n`;
}

function welcome(server: RunningServer, { dataFolder, tls }: ServeOptions): string {
  const url = withoutSlash(server.url);
  const { etcd } = server;
  const { key, name } = server.tenant;
  const ports = etcd.map(({ url: { host }, tenant }) => `  port for etcd        ${host}, as "${tenant}"\n`).join('');
  const fault = server.faultUrl === null ? '' : `\nFault port: ${withoutSlash(server.faultUrl)}\n`;
  return `Quorate serves at ${url}

  operator's token     ${server.operatorToken}
  key of "${name}"     ${key}
${ports}${fault}
Try it:
${etcd.map((port) => `  etcdctl ${etcdctlWords(withoutSlash(port.url), tls)} put hello world\n`).join('')}  curl -X PUT ${url}/v1/kv/hello -H 'Quorate-Key: ${key}' -d world
  curl ${url}/v1/kv/hello -H 'Quorate-Key: ${key}'
  curl -N '${url}/v1/watch?prefix=hello&from=1' -H 'Quorate-Key: ${key}'

Ctrl-C ends the server. Its data, the token and the key stay in ${resolve(dataFolder)}.
`;
}

function withoutSlash(url: URL): string {
  return url.href.replace(/\/$/, '');
}

function packageVersion(): string {
  const content: unknown = JSON.parse(readFileSync(fileURLToPath(import.meta.resolve('../../package.json')), 'utf8'));
  const version = typeof content === 'object' && content !== null && 'version' in content ? content.version : null;
  if (typeof version !== 'string') throw new ServerFailure('package.json has no version');
  return version;
}

/** An error that is no ServerFailure is a bug, and its stack is what its reader needs. */
function fail(error: unknown): never {
  if (error instanceof ServerFailure) {
    process.stderr.write(`quorate: ${error.message}\n`);
    process.exit(error.exitCode);
  }
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
}

main().catch(fail);

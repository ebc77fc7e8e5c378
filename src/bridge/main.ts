// `npm run bridge`: reads the command line, serves until it is told to end, says what happened in one line each.

import { commandLine, refuse } from '../cli/command-line.ts';
import { etcdctlWords, isLoopback } from '../front/port.ts';
import { type BridgeOptions, bridgeOptions, help, options, WrongOption } from './options.ts';

async function main(): Promise<void> {
  const wanted = read();
  // The import stands here, so that a wrong command line does not wait for it.
  const { startBridge } = await import('./bridge.ts');
  const bridge = await startBridge(wanted, say).catch((error: unknown) => {
    if (error instanceof WrongOption) return refuse(error.message);
    throw error;
  });
  let isEnding = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      // A second signal does not wait for the ending that the first one began.
      if (isEnding) process.exit(1);
      isEnding = true;
      void bridge.close().then(() => process.exit(0));
    });
  }
  const { to, tenant, json } = wanted;
  if (to.protocol === 'http:' && !isLoopback(to.hostname.replace(/^\[|\]$/g, ''))) {
    say(`the access key and all data go to ${to.host} in plain text: https:// would hide them`);
  }
  const { origin } = to;
  if (json) process.stdout.write(`${JSON.stringify({ url: bridge.url, to: origin, tenant })}\n`);
  else process.stdout.write(welcome(bridge.url, wanted));
}

function read(): BridgeOptions {
  try {
    return bridgeOptions(commandLine(help, options));
  } catch (error) {
    if (error instanceof WrongOption) return refuse(error.message);
    throw error;
  }
}

function welcome(url: string, { to, tenant, tls }: BridgeOptions): string {
  return `The bridge serves the tenant ${tenant} of ${to.origin} at ${url}

Try it:
  etcdctl ${etcdctlWords(url, tls)} put hello world

Ctrl-C ends the bridge.
`;
}

function say(line: string): void {
  process.stderr.write(`bridge: ${line}\n`);
}

main().catch((error: unknown) => {
  const isOfAddress = error instanceof Error && 'syscall' in error;
  if (isOfAddress) say(`cannot listen: ${error.message} (--listen takes another address)`);
  else process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
});

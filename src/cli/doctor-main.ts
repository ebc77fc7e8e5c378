// `npm run doctor`: reads the command line, examines the service, and prints a line for each finding.

import { commandLine, refuse } from './command-line.ts';
import { causeOf, examine, type Finding } from './doctor.ts';

const help = `Usage: npm run doctor -- --url https://quorate.example.workers.dev

Examines a deployed service, or one that "npm start" serves: its secrets, its directory and migrations, a store with its
replicas and where they were placed. It provisions a tenant named "doctor-<time>" and deletes it at the end.

  --url URL     the address of the service
  --help        print this

Environment:
  OPERATOR_TOKEN  the operator's token. It is not taken from the command line, which other users of a machine can see

Exit codes: 0 all is well, 1 something is wrong, 2 the command line is wrong.
`;

const marks: Record<Finding['kind'], string> = { well: 'ok   ', doubt: 'look ', ill: 'WRONG' };

async function main(): Promise<void> {
  const { url: address } = commandLine(help, { url: { type: 'string' } });
  const url = serviceUrl(address);
  if (url === null) refuse('--url must be the address of a service, such as https://quorate.example.workers.dev');
  const operatorToken = process.env['OPERATOR_TOKEN'] ?? '';
  if (operatorToken === '') refuse('OPERATOR_TOKEN is not set in the environment');
  const tenantName = `doctor-${Date.now()}`;
  for await (const finding of examine({ url, operatorToken, tenantName, fetch, now: () => performance.now() })) {
    process.stdout.write(`${marks[finding.kind]}  ${finding.check.padEnd(12)}  ${finding.detail}\n`);
    if (finding.kind !== 'well') process.stdout.write(`${' '.repeat(21)}${finding.advice}\n`);
    if (finding.kind === 'ill') process.exitCode = 1;
  }
}

function serviceUrl(text: string | undefined): string | null {
  if (text === undefined || !URL.canParse(text)) return null;
  const { protocol, origin, pathname, search, hash } = new URL(text);
  const isPlain = (protocol === 'http:' || protocol === 'https:') && pathname === '/' && search === '' && hash === '';
  return isPlain ? origin : null;
}

main().catch((error: unknown) => {
  process.stderr.write(`doctor: the service did not answer to the end: ${causeOf(error)}\n`);
  process.exitCode = 1;
});

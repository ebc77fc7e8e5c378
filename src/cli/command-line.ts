// The command line of a program that npm runs: its options, its help, and the one line that says what is wrong. A
// program reads its command line before it does anything else, so a wrong word costs nothing.

import { parseArgs, type ParseArgsConfig } from 'node:util';

let program = 'quorate';

type Options = NonNullable<ParseArgsConfig['options']>;

/** Prints the help and ends where `--help` is among the words; ends with 2 where a word is wrong. */
export function commandLine<const Known extends Options>(
  help: string,
  options: Known,
): ReturnType<typeof parseArgs<{ options: Known }>>['values'] {
  program = /npm run (\S+)/.exec(help)?.[1] ?? 'quorate';
  if (process.argv.slice(2).includes('--help')) {
    process.stdout.write(help);
    process.exit(0);
  }
  try {
    return parseArgs({ options, allowPositionals: false }).values;
  } catch (error) {
    // Node's text may go on with advice on positional arguments; its first sentence says what is wrong.
    const [first = ''] = (error instanceof Error ? error.message : String(error)).split(/\n|\. /);
    return refuse(first);
  }
}

/** For what the command line asks for and cannot be had. */
export function refuse(reason: string): never {
  process.stderr.write(`${program}: ${reason} (--help lists the options)\n`);
  process.exit(2);
}

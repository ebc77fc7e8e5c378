// `npm run bench`: Quorate and, where it is on PATH, etcd, under the same load in turn: A B A B. Prints every round,
// then a table of the medians and their ratios. Ends with 1 where a request failed: a fast wrong answer is not speed.

import { commandLine, refuse } from '../../src/cli/command-line.ts';
import { wholeNumber } from '../support/option-values.ts';
import { profile } from './profile.ts';
import { programOnPath } from '../support/programs.ts';
import { figureText, headLines, lineOf, reportJson, tableText, thisMachine, type Line } from './report.ts';
import { rowIds, works } from './rows.ts';
import { etcdSubject, quorateSubject, type Subject } from './subjects.ts';
import type { Context, Work } from './work.ts';

const help = `Usage: npm run bench -- [options]

Puts the same load, in turn and over HTTP/1.1, on Quorate, started as npm start does, and on three members of etcd, if etcd is on PATH.
Rows that begin with session compare a session of Quorate's with etcd's gRPC.
Where etcd's own tool "benchmark" is on PATH, it measures etcd alone. Prints the medians of all rounds, and the ratio of Quorate's to
etcd's. Timings mean something on a machine that does nothing else. npm run failover does more faults of more kinds, and npm run waking measures
the first put of a sleeping group.

  --rounds N         how often each side is measured, in turn (3)
  --seconds N        how long one measurement takes (5)
  --warm-up N        how many seconds each side is loaded before its first round of each load (2)
  --only ROW,ROW     measure only these rows:
                     ${rowIds.slice(0, 9).join(', ')},
                     ${rowIds.slice(9, 16).join(', ')},
                     ${rowIds.slice(16, 22).join(', ')},
                     ${rowIds.slice(22).join(', ')}
  --alone            without etcd
  --against FOLDER   measure beside it the Quorate of another checkout, whose packages are installed
  --direct           beside it Quorate without the process in front of the Worker's runtime
  --json             print the result as one object on stdout, and what happens meanwhile on stderr
  --profile          do not compare: write a CPU profile of the runtime under gets and puts, as quorate-range.cpuprofile and so on
  --help             print this
`;

type Settings = {
  readonly rounds: number;
  readonly context: Context;
  readonly works: readonly Work[];
  readonly etcd: string | null;
  readonly against: string | null;
  readonly direct: boolean;
};

async function main(): Promise<number> {
  const values = commandLine(help, {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '5' },
    'warm-up': { type: 'string', default: '2' },
    only: { type: 'string' },
    alone: { type: 'boolean', default: false },
    against: { type: 'string' },
    direct: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    profile: { type: 'boolean', default: false },
  });
  const seconds = wholeNumber('--seconds', values.seconds);
  const warmUpSeconds = wholeNumber('--warm-up', values['warm-up']);
  if (values.profile) return await profile({ seconds, warmUpSeconds });
  const settings = {
    rounds: wholeNumber('--rounds', values.rounds),
    context: { seconds, warmUpSeconds, tool: null },
    works: chooseWorks(values.only),
    etcd: values.alone ? null : programOnPath('etcd'),
    against: values.against ?? null,
    direct: values.direct,
  };
  return await compare(settings, values.json);
}

async function compare(settings: Settings, asJson: boolean): Promise<number> {
  const machine = thisMachine();
  const subjects: Subject[] = [];
  try {
    subjects.push(await quorateSubject({ name: 'quorate', arguments: [], checkout: null }));
    if (settings.against !== null) {
      subjects.push(await quorateSubject({ name: 'other', arguments: [], checkout: settings.against }));
    }
    if (settings.direct) {
      subjects.push(await quorateSubject({ name: 'direct', arguments: ['--direct'], checkout: null }));
    }
    if (settings.etcd !== null) subjects.push(await etcdSubject(settings.etcd));
    const names = subjects.map(({ name }) => name);
    const heads = headLines(machine, subjects);
    for (const line of heads) say(line);
    const lines: Line[] = [];
    let failures = 0;
    for (const work of settings.works) {
      const measured = await measureWork(work, subjects, settings);
      lines.push(...measured.lines);
      failures += measured.failures;
    }
    if (failures > 0) say(`${failures} requests failed`);
    process.stdout.write(
      asJson
        ? `${JSON.stringify(reportJson(lines, subjects, machine))}\n`
        : `\n${heads.join('\n')}\n${settings.rounds} rounds of ${settings.context.seconds} s in turn, medians\n\n${tableText(lines, names)}`,
    );
    return failures === 0 ? 0 : 1;
  } finally {
    for (const subject of subjects) await subject.dispose();
  }
}

async function measureWork(
  work: Work,
  subjects: readonly Subject[],
  settings: Settings,
): Promise<{ readonly lines: readonly Line[]; readonly failures: number }> {
  const names = subjects.map(({ name }) => name);
  const rounds = new Map(work.rows.map(({ id }) => [id, new Map<string, number[]>()]));
  let failures = 0;
  for (const subject of subjects) await work.prepare(subject, contextOf(subject, settings));
  for (let round = 1; round <= settings.rounds; round++) {
    for (const subject of subjects) {
      const measured = await work.measure(subject, contextOf(subject, settings));
      if (measured === null) continue;
      failures += measured.failures;
      for (const { id, title, unit } of work.rows) {
        const figure = measured.figures.get(id);
        const ofRow = rounds.get(id);
        if (figure === undefined || ofRow === undefined) continue;
        ofRow.set(subject.name, [...(ofRow.get(subject.name) ?? []), figure]);
        say(`  round ${round}  ${subject.name.padEnd(8)} ${figureText(figure, unit).padStart(10)}  ${title}`);
      }
    }
  }
  return { lines: work.rows.map((row) => lineOf(row, rounds.get(row.id) ?? new Map(), names)), failures };
}

function contextOf(subject: Subject, { context }: Settings): Context {
  const program = subject.kind === 'etcd' ? programOnPath('benchmark') : null;
  return { ...context, tool: program === null ? null : { program, endpoint: subject.url } };
}

function chooseWorks(only: string | undefined): readonly Work[] {
  if (only === undefined) return works;
  const ids = only.split(',').map((id) => id.trim());
  const unknown = ids.find((id) => !rowIds.includes(id));
  if (unknown !== undefined) refuse(`--only knows the rows ${rowIds.join(', ')}, not "${unknown}"`);
  return works.filter(({ rows }) => rows.some(({ id }) => ids.includes(id)));
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}

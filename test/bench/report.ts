// The report of a run: a table for people, one object for programs. It says where the run was made and with which
// versions.

import { loadavg, cpus, release, totalmem } from 'node:os';
import { medianOf } from './figures.ts';
import type { Row, Unit } from './work.ts';
import type { Subject } from './subjects.ts';

/** The figures of one row: the name of each side, and its figure in each round. */
export type Rounds = ReadonlyMap<string, readonly number[]>;

export type Machine = {
  readonly processor: string;
  readonly processors: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  /** How many processes wanted to run in the minute before the run began. On a quiet machine it is well below 1. */
  readonly loadBefore: number;
};

export function thisMachine(): Machine {
  const all = cpus();
  return {
    processor: all[0]?.model.trim() ?? 'unknown',
    processors: all.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    loadBefore: Math.round((loadavg()[0] ?? 0) * 100) / 100,
  };
}

/** Where a run is made, and what of. */
export function headLines(machine: Machine, subjects: readonly Subject[]): readonly string[] {
  const { processor, processors, memoryGiB, kernel, node, loadBefore } = machine;
  return [
    `${processor}, ${processors} processors, ${memoryGiB} GiB, Linux ${kernel}, Node ${node}`,
    subjects.map(({ name, version }) => `${name} ${version}`).join(', '),
    ...(loadBefore > 0.5 ? [`the machine was not quiet before this: its load was ${loadBefore}`] : []),
  ];
}

export type Line = {
  readonly row: Row;
  readonly rounds: Rounds;
  readonly medians: ReadonlyMap<string, number>;
  /** The ratio of the first side to each other side. */
  readonly ratios: ReadonlyMap<string, number>;
};

/** `names`: the names of the sides, in their order. */
export function lineOf(row: Row, rounds: Rounds, names: readonly string[]): Line {
  const medians = new Map([...rounds].map(([name, values]) => [name, medianOf(values)] as const));
  const [first = '', ...others] = names;
  const own = medians.get(first);
  const ratios = others.flatMap((name) => {
    const other = medians.get(name);
    return own === undefined || other === undefined ? [] : [[name, own / other] as const];
  });
  return { row, rounds, medians, ratios: new Map(ratios) };
}

export function tableText(lines: readonly Line[], names: readonly string[]): string {
  const [, ...others] = names;
  const head = ['', ...names, ...others.map((name) => `to ${name}`), 'target'];
  const cells = lines.map(({ row, medians, ratios }) => [
    row.title,
    ...names.map((name) => figureText(medians.get(name), row.unit)),
    ...others.map((name) => ratioText(ratios.get(name))),
    row.target,
  ]);
  const widths = head.map((title, column) => Math.max(title.length, ...cells.map((line) => line[column]?.length ?? 0)));
  const lineText = (line: readonly string[]): string =>
    `| ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |\n`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |\n`;
  return lineText(head) + rule + cells.map(lineText).join('');
}

export function reportJson(lines: readonly Line[], subjects: readonly Subject[], machine: Machine): object {
  return {
    machine,
    versions: Object.fromEntries(subjects.map(({ name, version }) => [name, version])),
    rows: lines.map(({ row, rounds, medians, ratios }) => ({
      ...row,
      rounds: Object.fromEntries(rounds),
      medians: Object.fromEntries(medians),
      ratios: Object.fromEntries(ratios),
    })),
  };
}

export function figureText(figure: number | undefined, unit: Unit): string {
  if (figure === undefined) return '–';
  const digits = unit === 'ms' && figure < 10 ? 2 : unit === 'ms' && figure < 100 ? 1 : 0;
  const text = figure.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return unit === '/s' ? `${text}/s` : `${text} ${unit}`;
}

function ratioText(ratio: number | undefined): string {
  return ratio === undefined ? '–' : `${ratio.toFixed(2)}×`;
}

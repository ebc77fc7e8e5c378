// What a row of the table is, and a piece of work that gives the figures of one or several rows.

import type { EtcdBenchmark } from './etcd-benchmark.ts';
import type { Subject } from './subjects.ts';

export type Unit = '/s' | 'ms' | 'MiB';

export type Row = {
  readonly id: string;
  readonly title: string;
  readonly unit: Unit;
  /** The target in words, as the issue that set it has it. Empty: there is no target. */
  readonly target: string;
};

export type Context = {
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** Null: etcd's own tool is not on PATH. */
  readonly tool: EtcdBenchmark | null;
};

export type Measured = {
  /** The figures by the id of their row. */
  readonly figures: ReadonlyMap<string, number>;
  /** How many requests failed. A fast wrong answer is not speed. */
  readonly failures: number;
};

export type Work = {
  readonly rows: readonly Row[];
  /** Called once for each side, before the first round. */
  readonly prepare: (subject: Subject, context: Context) => Promise<void>;
  /** Null: this side cannot be measured so. */
  readonly measure: (subject: Subject, context: Context) => Promise<Measured | null>;
};

// Metrics as text, in the format that Prometheus scrapes (text/plain; version=0.0.4). It is written here, because the
// client library for Node (prom-client 15) counts for itself, and cannot tell what others have counted.

export const metricsContentType = 'text/plain; version=0.0.4; charset=utf-8';

export type Labels = Readonly<Record<string, string>>;
export type Sample = { readonly labels: Labels; readonly value: number };

export type Metric = { readonly name: string; readonly help: string } & (
  | { readonly type: 'counter' | 'gauge'; readonly samples: readonly Sample[] }
  | { readonly type: 'histogram'; readonly series: readonly Histogram[] }
);

export type Histogram = {
  readonly labels: Labels;
  /** How many are in each bucket alone, by its upper bound, in any order. */
  readonly buckets: readonly { readonly bound: number; readonly count: number }[];
  readonly sum: number;
};

/** A metric without samples is left out. */
export function metricsText(metrics: readonly Metric[]): string {
  return metrics.map(metricText).join('');
}

function metricText(metric: Metric): string {
  const lines = metric.type === 'histogram' ? metric.series.flatMap((each) => histogramLines(metric.name, each)) : [];
  const samples = metric.type === 'histogram' ? [] : metric.samples;
  for (const { labels, value } of samples) lines.push(line(metric.name, labels, value));
  if (lines.length === 0) return '';
  return `# HELP ${metric.name} ${escapedHelp(metric.help)}\n# TYPE ${metric.name} ${metric.type}\n${lines.join('')}`;
}

/** The text counts in each bucket all that is not above its bound. */
function histogramLines(name: string, { labels, buckets, sum }: Histogram): string[] {
  const sorted = buckets.toSorted((left, right) => left.bound - right.bound);
  const lines: string[] = [];
  let count = 0;
  for (const bucket of sorted) {
    count += bucket.count;
    if (bucket.bound === Number.POSITIVE_INFINITY) continue;
    lines.push(line(`${name}_bucket`, { ...labels, le: String(bucket.bound) }, count));
  }
  lines.push(line(`${name}_bucket`, { ...labels, le: '+Inf' }, count));
  return [...lines, line(`${name}_sum`, labels, sum), line(`${name}_count`, labels, count)];
}

function line(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapedLabel(text)}"`);
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}\n`;
}

function escapedHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escapedLabel(text: string): string {
  return escapedHelp(text).replaceAll('"', '\\"');
}

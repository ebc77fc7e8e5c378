// Metrics as Prometheus reads them.

import { describe, expect, it } from 'vitest';
import { metricsText } from '../../src/api/metrics-text.ts';

describe('API-METRICS-1: metrics are text as Prometheus reads it', () => {
  it('has help, type and samples, and escapes what is in them', () => {
    const samples = [
      { labels: { plan: 'a"b\\c\nd', code: 'OK' }, value: 3 },
      { labels: {}, value: 0.25 },
    ];
    expect(metricsText([{ name: 'calls_total', help: 'Of\nwhat \\.', type: 'counter', samples }])).toBe(
      [
        '# HELP calls_total Of\\nwhat \\\\.',
        '# TYPE calls_total counter',
        'calls_total{plan="a\\"b\\\\c\\nd",code="OK"} 3',
        'calls_total 0.25',
        '',
      ].join('\n'),
    );
  });

  it('counts in each bucket all that is below its bound, and ends with +Inf', () => {
    const buckets = [
      { bound: Number.POSITIVE_INFINITY, count: 1 },
      { bound: 0.5, count: 2 },
      { bound: 0.1, count: 4 },
    ];
    const series = [{ labels: { call: 'put' }, buckets, sum: 3.5 }];
    expect(
      metricsText([{ name: 'took', help: 'h', type: 'histogram', series }])
        .split('\n')
        .slice(2),
    ).toEqual([
      'took_bucket{call="put",le="0.1"} 4',
      'took_bucket{call="put",le="0.5"} 6',
      'took_bucket{call="put",le="+Inf"} 7',
      'took_sum{call="put"} 3.5',
      'took_count{call="put"} 7',
      '',
    ]);
  });

  it('leaves out a metric without samples', () => {
    expect(metricsText([{ name: 'none', help: 'h', type: 'gauge', samples: [] }])).toBe('');
  });
});

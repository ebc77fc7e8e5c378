import { describe, expect, it } from 'vitest';
import { Random } from '../../support/random.ts';
import { checkLinearizable } from './linearizable-history.ts';
import { exportHistory, importHistory } from './porcupine-json.ts';
import { makeHistory } from './random-history.ts';
import { answered, lost, pair, put, refused, remove } from './small-history.ts';

const microsecond = 1_000;

describe("porcupine's JSON", () => {
  it('CHECK-JSON-1: a line is an Operation of porcupine as Go prints it', () => {
    const txn = answered(
      [1.5, 4],
      { when: [{ key: 'a', mod: 5 }], writes: [put('a', 'v'), remove('b')], reads: ['a', 'b'] },
      { revision: 6, deleted: 1, pairs: [pair(6, null, 3), null] },
    );
    const lines = exportHistory(
      [txn, lost(2, { writes: [put('a', 'w')] }), refused([1, 3], { writes: [put('a', 'u')] })],
      microsecond,
    );
    expect(lines.split('\n')).toEqual([
      '{"ClientId":0,"Input":{"if":[],"do":[{"op":"put","key":"a","value":"u"}],"get":[],"serializable":false},"Call":1000,"Output":{"refused":"429"},"Return":3000}',
      '{"ClientId":0,"Input":{"if":[{"key":"a","mod":5}],"do":[{"op":"put","key":"a","value":"v"},{"op":"delete","key":"b"}],"get":["a","b"],"serializable":false},"Call":1500,"Output":{"held":true,"revision":6,"deleted":1,"pairs":[{"mod":6,"create":null,"version":3,"value":null},null]},"Return":4000}',
      '{"ClientId":0,"Input":{"if":[],"do":[{"op":"put","key":"a","value":"w"}],"get":[],"serializable":false},"Call":2000,"Output":{"lost":"cut"},"Return":5000}',
      '',
    ]);
  });

  it('CHECK-JSON-2: what is read back is the history that was written, and is judged alike', () => {
    const { history } = makeHistory({
      random: new Random(3),
      operations: 300,
      clients: 5,
      keys: ['a', 'b'],
      lost: 0.1,
      refused: 0.1,
    });
    const whole = history.map((operation) => rounded(operation)).toSorted((left, right) => left.call - right.call);
    const again = importHistory(exportHistory(whole, microsecond), microsecond);
    expect(again).toEqual(whole);
    expect(checkLinearizable(again)).toEqual([]);
  });

  it.each([
    ['{', 'line 1'],
    ['[]', 'object'],
    ['{"ClientId":0,"Call":1,"Return":2,"Output":{}}', 'object'],
    ['{"ClientId":"0","Call":1,"Return":2,"Input":{},"Output":{"lost":""}}', 'ClientId'],
    [
      '{"ClientId":0,"Call":1,"Return":2,"Input":{"if":[],"do":[],"get":[1],"serializable":false},"Output":{"lost":""}}',
      'get',
    ],
    [
      '{"ClientId":0,"Call":1,"Return":2,"Input":{"if":[],"do":[],"get":[],"serializable":false},"Output":{"held":true}}',
      'revision',
    ],
  ])('CHECK-JSON-3: %s is refused, and the fault is named', (line, named) => {
    expect(() => importHistory(line, microsecond)).toThrow(named);
  });
});

type Operation = ReturnType<typeof makeHistory>['history'][number];

/** Times that are a whole number of nanoseconds. */
function rounded(operation: Operation): Operation {
  const { outcome } = operation;
  const call = Math.round(operation.call);
  return {
    ...operation,
    call,
    outcome: outcome.kind === 'lost' ? outcome : { ...outcome, return: Math.round(outcome.return) },
  };
}

// How much the compares of a transaction that only reads may look at. A million rows take some seconds.

import { expect, it } from 'vitest';
import { comparedRowsMax, comparedValueBytesMax } from '../../src/limits.ts';
import { runSteps } from '../../src/mvcc/steps.ts';
import { NodeSql } from '../support/node-sql.ts';
import { everything, Fed, keyRange, prefix, put, service, txnRequest, versionIs } from './requests.ts';
import { utf8 } from '../../src/base/bytes.ts';
import { compareResult, type Compare, type KeyRange } from '../../src/model/store.ts';

const keys = 10_000;
const compares = 64;
const differs = (range: KeyRange): Compare => {
  return { ...range, result: compareResult.notEqual, target: 'value', operand: utf8('x') };
};

it('MVCC-TXN-15: compares of a txn that only reads look at comparedRowsMax rows; with one more the txn is refused', () => {
  const fed = new Fed(new NodeSql());
  for (let key = 0; key < keys; key++) fed.do(put(`k${key}`));
  const compare = Array.from({ length: comparedRowsMax / keys }, () => versionIs(everything, 1));
  const outcomeOf = (request: ReturnType<typeof txnRequest>): unknown =>
    runSteps(fed.store.readTxnInSteps(request, service, 1));
  expect(outcomeOf(txnRequest({ compare }))).toMatchObject({ kind: 'txn', answer: { succeeded: true } });
  const more = [...compare, versionIs(keyRange('k1'), 1)];
  expect(outcomeOf(txnRequest({ compare: more }))).toMatchObject({
    kind: 'failed',
    failure: { kind: 'tooMuchWork', what: 'rows', max: comparedRowsMax },
  });
});

it('MVCC-TXN-15: compares of a txn that only reads look at comparedValueBytesMax bytes of values; with one more the txn is refused', () => {
  const fed = new Fed(new NodeSql());
  const valueBytes = 1_048_576;
  const values = comparedValueBytesMax / valueBytes / compares;
  for (let key = 0; key < values; key++) fed.do(put(`k${key}`, new Uint8Array(valueBytes)));
  fed.do(put('small', 'v'));
  const compare = Array.from({ length: compares }, () => differs(prefix('k')));
  const outcomeOf = (request: ReturnType<typeof txnRequest>): unknown =>
    runSteps(fed.store.readTxnInSteps(request, service, 1));
  expect(outcomeOf(txnRequest({ compare }))).toMatchObject({ kind: 'txn', answer: { succeeded: true } });
  expect(outcomeOf(txnRequest({ compare: [...compare, differs(keyRange('small'))] }))).toMatchObject({
    kind: 'failed',
    failure: { kind: 'tooMuchWork', what: 'value bytes', max: comparedValueBytesMax },
  });
});

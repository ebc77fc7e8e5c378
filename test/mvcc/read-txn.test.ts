// Transactions that only read are answered as if they were in the log, although they are not.

import { describe, expect, it } from 'vitest';
import { logIndex } from '../../src/model/brands.ts';
import { alarmKind, type Command, type TxnOperation, type TxnRequest } from '../../src/model/store.ts';
import { runSteps } from '../../src/mvcc/steps.ts';
import { isReadOnly, isSerializable } from '../../src/model/read-only.ts';
import { NodeSql } from '../support/node-sql.ts';
import { randomCommands, steadyKey } from './random-commands.ts';
import { RandomOperations } from './random-operations.ts';
import { Fed, put, read, remove, txn, txnRequest, versionIs } from './requests.ts';

/** The same transaction without its puts and deletes. */
function readsOf({ compare, success, failure }: TxnRequest): TxnRequest {
  return { compare, success: success.flatMap(readIn), failure: failure.flatMap(readIn) };
}

function readIn(part: TxnOperation): TxnOperation[] {
  if (part.kind === 'txn') return [{ kind: 'txn', request: readsOf(part.request) }];
  return part.kind === 'put' || part.kind === 'deleteRange' ? [] : [part];
}

describe('a txn that only reads', () => {
  it('MVCC-TXN-10: is answered, and refused, as if it were in the log', () => {
    const random = new RandomOperations(5);
    const [fed, twin] = [new Fed(new NodeSql()), new Fed(new NodeSql())];
    const sent: Command[] = [];
    const seen = new Map<string, number>();
    for (const each of [fed, twin]) each.do(steadyKey);
    for (let round = 2; round <= 1_200; round += 2) {
      const commands = randomCommands(random, sent, fed, round);
      for (const each of [fed, twin]) each.store.apply(logIndex(round), commands);
      const asked = commands.flatMap((command): Command[] => {
        const { operation } = command;
        if (operation.kind !== 'txn') return [];
        const request = readsOf(operation.request);
        return [{ ...command, writeId: `read ${round}`, operation: { kind: 'txn', request } }];
      });
      const [command] = asked;
      if (command?.operation.kind !== 'txn') continue;
      const { outcomes } = twin.store.apply(logIndex(round + 1), [command]);
      const outcome = runSteps(fed.store.readTxnInSteps(command.operation.request, command.caller, command.atMs));
      expect([outcome]).toEqual(outcomes);
      const kind = outcome.kind === 'failed' ? outcome.failure.kind : outcome.kind;
      seen.set(kind, (seen.get(kind) ?? 0) + 1);
    }
    expect(fed.store.revision).toBe(twin.store.revision);
    expect(seen.get('txn')).toBeGreaterThan(20);
    expect(seen.size).toBeGreaterThan(4);
  });

  it('MVCC-TXN-11: has no put and no delete in any branch, nested ones included', () => {
    const nested = txn({ failure: [read('a'), txn({ success: [read('b')] })] });
    for (const success of [[], [read('a')], [nested]]) expect(isReadOnly(txnRequest({ success }))).toBe(true);
    for (const written of [put('a'), remove('a')]) {
      expect(isReadOnly(txnRequest({ failure: [written] }))).toBe(false);
      expect(isReadOnly(txnRequest({ success: [txn({ failure: [read('a'), txn({ success: [written] })] })] }))).toBe(
        false,
      );
    }
  });

  it('MVCC-TXN-12: may be of an earlier state if it has ranges, all of which may', () => {
    const may = read('a', { serializable: true });
    expect(isSerializable(txnRequest({ success: [may], failure: [may, may] }))).toBe(true);
    for (const parts of [
      { success: [may], failure: [read('a')] },
      { success: [may, txn({ success: [may] })] },
      { compare: [versionIs('a', 1)] },
    ]) {
      expect(isSerializable(txnRequest(parts))).toBe(false);
    }
  });

  it('MVCC-TXN-13: is answered while the store has alarms, as in etcd a nested one is not while it is corrupt', () => {
    const fed = new Fed(new NodeSql());
    fed.put('a');
    fed.do({ kind: 'alarmActivate', alarm: { memberId: 1n, alarm: alarmKind.corrupt } });
    fed.do({ kind: 'alarmActivate', alarm: { memberId: 1n, alarm: alarmKind.noSpace } });
    const answered = (success: TxnOperation[]): unknown => {
      const outcome = runSteps(fed.store.readTxnInSteps(txnRequest({ success }), { kind: 'service' }, 1));
      return outcome.kind === 'failed' ? outcome.failure.kind : outcome.kind;
    };
    expect(answered([read('a')])).toBe('txn');
    expect(answered([txn({ success: [read('a')] })])).toBe('corruptAlarm');
  });
});

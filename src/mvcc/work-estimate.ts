// The most work that a command may take, as estimated from its request alone. Log entries are filled by it: an entry is
// applied in one go, and again at a start where it was not, so the commands of one entry must not add up to very much.
// Pure; no replica's state depends on it.

import { unreachable } from '../base/assert.ts';
import {
  commandRowsMax,
  commandValueBytesMax,
  countedRowsOfRow,
  rowsOfWrittenRow,
  usersMax,
  valueBytesMax,
} from '../limits.ts';
import type { Compare, Operation, TxnOperation, TxnRequest } from '../model/store.ts';
import { spanOf } from '../model/key-range.ts';

/** `valueBytes`: the bytes of values that are read, for an answer or to be written again. */
export type Work = { readonly rows: number; readonly valueBytes: number };

const whole: Work = { rows: commandRowsMax, valueBytes: commandValueBytesMax };
/** Some rows by their keys: of access keys, users, roles, alarms, leases. */
const few: Work = { rows: 64, valueBytes: 0 };
/**
 * A range of one key: the key is looked for, found, and counted as often as a filter and an older revision have it
 * counted.
 */
const rowsOfOneKey = 5;

export function workAtMost(operation: Operation): Work {
  switch (operation.kind) {
    case 'txn':
      return atMostWhole(workOfTxn(operation.request));
    case 'put':
    case 'deleteRange':
      return atMostWhole(workOfPart(operation));
    // These commands take all keys, grants or permissions of something.
    case 'leaseRevoke':
    case 'leaseExpire':
    case 'userDelete':
    case 'roleDelete':
    case 'roleRevokePermission':
      return { ...few, rows: commandRowsMax };
    // Users and roles are counted.
    case 'userAdd':
    case 'roleAdd':
      return { ...few, rows: few.rows + usersMax / countedRowsOfRow };
    case 'leaseGrant':
      return { ...few, rows: 2 * rowsOfWrittenRow };
    case 'leaseCheckpoint':
      return { ...few, rows: few.rows + operation.deadlines.length * rowsOfWrittenRow };
    case 'compact':
    case 'createAccessKey':
    case 'revokeAccessKey':
    case 'authEnable':
    case 'authDisable':
    case 'userChangePassword':
    case 'userGrantRole':
    case 'userRevokeRole':
    case 'roleGrantPermission':
    case 'alarmActivate':
    case 'alarmDeactivate':
    case 'downgradeEnable':
    case 'downgradeCancel':
    case 'learnerChange':
    case 'rotateAccessKey':
    case 'suspension':
    case 'terms':
    case 'groupLevel':
      return few;
    default:
      return unreachable(operation);
  }
}

/** No command takes more than its budget. */
function atMostWhole({ rows, valueBytes }: Work): Work {
  return { rows: Math.min(rows, whole.rows), valueBytes: Math.min(valueBytes, whole.valueBytes) };
}

/** Both branches count, because it is not known before which one runs. */
function workOfTxn({ compare, success, failure }: TxnRequest): Work {
  return sumOf([...compare.map(workOfCompare), ...success.map(workOfPart), ...failure.map(workOfPart)]);
}

function workOfCompare(compare: Compare): Work {
  if (spanOf(compare).kind !== 'single') return compare.target === 'value' ? whole : { ...whole, valueBytes: 0 };
  return { rows: rowsOfOneKey, valueBytes: compare.target === 'value' ? valueBytesMax : 0 };
}

function workOfPart(operation: TxnOperation): Work {
  switch (operation.kind) {
    case 'put': {
      const { previous, ignoreValue } = operation.request;
      const values = Number(previous) + (ignoreValue ? rowsOfWrittenRow : 0);
      return { rows: rowsOfWrittenRow, valueBytes: values * valueBytesMax };
    }
    case 'range': {
      const { keysOnly, countOnly, limit, revision } = operation.request;
      const isOne = spanOf(operation.request).kind === 'single';
      // The previous pair of one key is read with its value, also if only the key is wanted.
      const handsOver = !countOnly && (!keysOnly || (isOne && revision > 0));
      const values = !handsOver ? 0 : isOne ? 1 : limit > 0 ? limit : Number.MAX_SAFE_INTEGER;
      return {
        rows: isOne ? rowsOfOneKey : whole.rows,
        valueBytes: Math.min(values * valueBytesMax, whole.valueBytes),
      };
    }
    case 'deleteRange': {
      const { previous } = operation.request;
      if (spanOf(operation.request).kind !== 'single') return previous ? whole : { ...whole, valueBytes: 0 };
      return { rows: rowsOfWrittenRow + 1, valueBytes: previous ? valueBytesMax : 0 };
    }
    case 'txn':
      return workOfTxn(operation.request);
    case 'empty':
      return { rows: 0, valueBytes: 0 };
    default:
      return unreachable(operation);
  }
}

function sumOf(works: readonly Work[]): Work {
  let [rows, valueBytes] = [0, 0];
  for (const work of works) {
    rows += work.rows;
    valueBytes += work.valueBytes;
  }
  return { rows, valueBytes };
}

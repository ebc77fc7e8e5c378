// Writes on their way: which never come into the log.

import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/bytes.ts';
import { logEntryBytesMax } from '../../src/limits.ts';
import type { Operation } from '../../src/model.ts';
import { commandBytes } from '../../src/mvcc/command-codec.ts';
import { keyRange, put, service, txn } from '../mvcc/requests.ts';
import { leaderAlone, write } from './leader-alone.ts';

function compareOf(length: number): Operation {
  const compare = { ...keyRange('k'), result: 0, target: 'value', operand: new Uint8Array(length) } as const;
  return txn({ compare: [compare], success: [put('k', 'v')] });
}

/** A transaction whose command has that many bytes, as they are counted. */
function commandOf(bytes: number, writeId: string): Operation {
  return compareOf(bytes - commandBytes({ writeId, caller: service, atMs: 0, operation: compareOf(0) }));
}

describe('writes on their way', () => {
  it('WRITE-1: a command of logEntryBytesMax is proposed; one byte more is a value, and the leader goes on', () => {
    const driver = leaderAlone();
    const { lastIndex } = driver.raft;
    expect(write(driver, service, 'fits', commandOf(logEntryBytesMax, 'fits'))).toMatchObject({ kind: 'applied' });
    const bytes = logEntryBytesMax + 1;
    expect(write(driver, service, 'more', commandOf(bytes, 'more'))).toEqual({ kind: 'tooLarge', bytes });
    expect(driver.raft.lastIndex).toBe(lastIndex + 1);
    expect(write(driver, service, 'next', put('k', utf8('v')))).toMatchObject({ kind: 'applied' });
  });
});

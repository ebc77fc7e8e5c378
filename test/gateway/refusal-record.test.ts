// How many refused calls an isolate records.

import { expect, it } from 'vitest';
import { RefusalRecord } from '../../src/gateway/refusal-record.ts';
import { auditActorsKnownMax, auditRefusalsPerMinuteMax } from '../../src/limits.ts';

it('TENANT-31: of each actor auditRefusalsPerMinuteMax refused calls a minute are recorded, of auditActorsKnownMax actors', () => {
  const record = new RefusalRecord();
  for (let count = 0; count < auditRefusalsPerMinuteMax; count++) expect(record.mayRecord('a', 59_000)).toBe(true);
  expect(record.mayRecord('a', 59_999)).toBe(false);
  for (let actor = 1; actor < auditActorsKnownMax; actor++) expect(record.mayRecord(`${actor}`, 59_999)).toBe(true);
  expect(record.mayRecord('one more', 59_999)).toBe(false);
  expect(record.mayRecord('1', 59_999)).toBe(true);
  expect(record.mayRecord('a', 60_000)).toBe(true);
});

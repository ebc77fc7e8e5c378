// The ids of requests.

import { describe, expect, it } from 'vitest';
import { RequestIds } from '../../src/api/request-id.ts';
import { requestIdBytesMax } from '../../src/limits.ts';

const ids = (): RequestIds => new RequestIds(() => 'made');

describe("API-REQUESTID-1: a request is named by its client's id, or by a new one", () => {
  it.each(['a', 'f3b0c442-98fc-1c14', 'Root=1-67891233-abcdef', 'x/y:z+q@host~1_2.3', 'x'.repeat(requestIdBytesMax)])(
    'takes %s',
    (sent) => expect(ids().of(sent)).toBe(sent),
  );

  it.each([null, '', 'a b', 'a, b', '"a"', 'a\n', 'é', '<a>', '{a}', 'x'.repeat(requestIdBytesMax + 1)])(
    'makes one in place of %j',
    (sent) => expect(ids().of(sent)).toBe('made-1'),
  );

  it('makes no id twice, and asks for randomness once', () => {
    let asked = 0;
    const made = new RequestIds(() => `p${asked++}`);
    const all = Array.from({ length: 100 }, () => made.of(null));
    expect([new Set(all).size, asked]).toEqual([100, 1]);
  });
});

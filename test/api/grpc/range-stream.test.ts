import { describe, expect, it } from 'vitest';
import {
  rangePath,
  rangeStreamMessage,
  rangeStreamPath,
  rangeStreamRefusal,
} from '../../../src/api/grpc/range-stream.ts';
import { jsonOfMessage, messageOfJson, methodAt } from '../../../src/api/grpc/schema.ts';

function typesAt(path: string) {
  const method = methodAt(path);
  if (method === null) throw new Error(`there is no ${path}`);
  return method;
}

const refusalOf = (json: object): string | null => {
  const message = messageOfJson(typesAt(rangePath).input, JSON.stringify(json));
  return message === null ? 'no message' : (rangeStreamRefusal(message)?.message ?? null);
};

describe('a stream of a range', () => {
  it('GRPC-13: has the answer of the range in its message', () => {
    const json = '{"kvs":[{"key":"YQ=="}],"count":"1"}';
    const range = messageOfJson(typesAt(rangePath).output, json) ?? new Uint8Array();
    const message = rangeStreamMessage(range);
    expect(jsonOfMessage(typesAt(rangeStreamPath).output, message)).toBe(`{"rangeResponse":${json}}`);
  });

  it.each([
    [{ key: 'YQ==' }, null],
    [{ key: 'YQ==', sortOrder: 'ASCEND' }, null],
    [{ key: 'YQ==', sortTarget: 'VALUE' }, null],
    [{ key: 'YQ==', sortOrder: 'DESCEND' }, 'RangeStream does not support custom sort orders'],
    [{ key: 'YQ==', sortOrder: 'ASCEND', sortTarget: 'MOD' }, 'RangeStream does not support custom sort orders'],
    [{ key: 'YQ==', minModRevision: '1' }, 'RangeStream does not support revision filters'],
    [{ key: 'YQ==', maxCreateRevision: '1' }, 'RangeStream does not support revision filters'],
    // The range itself is refused.
    [{ key: '', minModRevision: '1' }, null],
    [{ key: 'YQ==', sortOrder: 7, minModRevision: '1' }, null],
  ])('GRPC-13: of %j is refused with %j', (json, message) => {
    expect(refusalOf(json)).toBe(message);
  });
});

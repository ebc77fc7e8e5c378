import { afterEach, expect, it } from 'vitest';
import { assert } from '../../src/base/assert.ts';
import { frontBounds } from '../../src/front/bounds.ts';
import { KnownCallers } from '../../src/front/known-callers.ts';
import { ListedHeaders } from '../../src/front/request-headers.ts';
import { Upstream } from '../../src/front/upstream.ts';

const key = 'qrt_abc_1_secret';
const bytesMax = 100_000;
/** Nobody listens there: the sessions of this test are never open. */
const upstream = new Upstream({ host: '127.0.0.1', port: 9 }, 1000);
const callers = new KnownCallers(upstream, {
  ...frontBounds,
  answers: { bytesMax: 4 * bytesMax, tenantBytesMax: 2 * bytesMax, keyBytesMax: bytesMax },
});
afterEach(() => callers.close());

it('FRONT-32: the answers to a key have one share, in whatever form its header comes', () => {
  const held = [
    ['Quorate-Key', key],
    ['Authorization', `Bearer ${key}`],
    ['authorization', `bearer  ${key}`],
    ['Authorization', `Basic ${btoa(`name:${key}`)}`],
    ['Grpc-Metadata-Token', key],
  ].map((line) => {
    const headers = new ListedHeaders(line);
    callers.answered(headers, 200);
    const known = callers.find(headers);
    assert(known !== null, 'the caller was taken');
    return callers.reserveAnswer(known).hold(bytesMax);
  });
  expect(held).toEqual([null, 'key', 'key', 'key', 'key']);
});

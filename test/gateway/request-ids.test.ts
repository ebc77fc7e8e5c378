// The answers that have the ids of their requests.

import { describe, expect, it } from 'vitest';
import { failureResponse } from '../../src/api/errors/errors.ts';
import { withRequestId } from '../../src/gateway/request-ids.ts';

describe('GATEWAY-34: the id stands in a problem of v1, and in no other body', () => {
  it('in the header and in the body of a problem', async () => {
    const answer = await withRequestId(failureResponse('v1', { kind: 'timeout' }), 'r/1');
    expect(answer.headers.get('x-request-id')).toBe('r/1');
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(await answer.json()).toMatchObject({ status: 504, request_id: 'r/1' });
  });

  it("in the header of etcd's errors alone", async () => {
    const answer = await withRequestId(failureResponse('v3', { kind: 'timeout' }), 'r/1');
    expect(answer.headers.get('x-request-id')).toBe('r/1');
    expect(await answer.text()).not.toContain('r/1');
  });

  it('in an answer without a body', async () => {
    const answer = await withRequestId(new Response(null, { status: 204 }), 'r/1');
    expect([answer.status, answer.headers.get('x-request-id')]).toEqual([204, 'r/1']);
  });
});

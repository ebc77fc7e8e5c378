import { describe, expect, it } from 'vitest';
import { isOfMembers, namingClientUrl } from '../../../src/api/grpc/member-urls.ts';
import { methodAt } from '../../../src/api/grpc/schema.ts';

describe('GRPC-37: members have the address of whoever serves them', () => {
  it.each([
    ['/etcdserverpb.Cluster/MemberList', true],
    ['/etcdserverpb.Cluster/MemberPromote', true],
    ['/etcdserverpb.KV/Range', false],
  ])('%s lists them: %s', (path, is) => {
    const method = methodAt(path);
    expect(method !== null && isOfMembers(method.output)).toBe(is);
  });

  it('in place of the one that they had, and where they had none there is none', () => {
    const member = { ID: '18446744073709551615', name: 'replica-1', clientURLs: ['http://a', 'http://b'] };
    const learner = { ID: '2', isLearner: true };
    const answer = { header: { raft_term: '2' }, member: learner, members: [member, learner] };
    expect(JSON.parse(namingClientUrl(JSON.stringify(answer), 'http://here:1'))).toEqual({
      ...answer,
      members: [{ ...member, clientURLs: ['http://here:1'] }, learner],
    });
  });
});

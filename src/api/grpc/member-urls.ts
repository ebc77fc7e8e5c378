// The address of members for clients, as the front tells it: whoever calls a member calls the front.

import type { DescMessage } from '@bufbuild/protobuf';
import { membersOf, parsed } from './status.ts';

/** Whether an answer lists members. */
export function isOfMembers({ typeName }: DescMessage): boolean {
  return /^etcdserverpb\.Member\w+Response$/.test(typeName);
}

/** Such an answer of v3, in which each member that has an address for clients has this one. */
export function namingClientUrl(json: string, url: string): string {
  const answer = membersOf(parsed(json));
  const { members, member } = answer;
  return JSON.stringify({
    ...answer,
    ...(Array.isArray(members) ? { members: members.map((each) => named(each, url)) } : {}),
    ...(member === undefined ? {} : { member: named(member, url) }),
  });
}

function named(member: unknown, url: string): object {
  const { clientURLs: urls, ...rest } = membersOf(member);
  return Array.isArray(urls) && urls.length > 0 ? { ...rest, clientURLs: [url] } : rest;
}

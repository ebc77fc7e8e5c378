// etcd's calls on the members of a group: cluster/member/*. The headers of their answers have no revision.

import { utf8 } from '../../base/bytes.ts';
import { peerUrlsBytesMax } from '../../limits.ts';
import type { ApiCall, ClusterMember, MemberChange } from '../contract.ts';
import { bool, message, texts, uint64Exact } from './message.ts';
import { readBody } from './schema.ts';
import type { RequestFacts, ParseUnary } from './unary.ts';
import { answer, failKept, refuse } from './unary.ts';

const addRequest = message<{ peerUrls: string[]; isLearner: boolean }>(() => ({ peerUrls: [], isLearner: false }), {
  peerURLs: texts((into, value) => into.peerUrls.push(value)),
  isLearner: bool((into, value) => (into.isLearner = value)),
});

const updateRequest = message<{ id: bigint; peerUrls: string[] }>(() => ({ id: 0n, peerUrls: [] }), {
  ID: uint64Exact((into, value) => (into.id = value)),
  peerURLs: texts((into, value) => into.peerUrls.push(value)),
});

const idRequest = message<{ id: bigint }>(() => ({ id: 0n }), {
  ID: uint64Exact((into, value) => (into.id = value)),
});

const listRequest = message<{ linearizable: boolean }>(() => ({ linearizable: false }), {
  linearizable: bool((into, value) => (into.linearizable = value)),
});

/** The URL of a peer: http://host:port without a path, or unix://path of a socket. */
const peerForm = /^(?:https?:\/\/(?:[^/?#@]*@)?(?:\[[^\][]*\]|[^/?#@:[\]]*):[0-9]*(?:[?#].*)?|unixs?:.*)$/;

/**
 * The URLs trimmed and in order, as etcd keeps them; null where the list is empty, is too long, or has a text that is
 * not the URL of a peer.
 */
export function peerUrlsOf(urls: readonly string[]): readonly string[] | null {
  if (urls.reduce((bytes, url) => bytes + utf8(url).byteLength, 0) > peerUrlsBytesMax) return null;
  const trimmed = urls.map((url) => url.trim());
  if (trimmed.length === 0 || !trimmed.every((url) => peerForm.test(url))) return null;
  return trimmed.toSorted((left, right) => (left < right ? -1 : Number(left > right)));
}

function memberJson({ id, name, peerUrls, clientUrls, isLearner }: ClusterMember): string {
  const members = [
    ...(id === 0n ? [] : [`"ID":"${id}"`]),
    ...(name === '' ? [] : [`"name":${JSON.stringify(name)}`]),
    ...(peerUrls.length === 0 ? [] : [`"peerURLs":${JSON.stringify(peerUrls)}`]),
    ...(clientUrls.length === 0 ? [] : [`"clientURLs":${JSON.stringify(clientUrls)}`]),
    ...(isLearner ? ['"isLearner":true'] : []),
  ];
  return `{${members.join(',')}}`;
}

function membersField(members: readonly ClusterMember[]): string {
  return members.length === 0 ? '' : `,"members":[${members.map(memberJson).join(',')}]`;
}

const withoutRevision = 0;

function changeCall({ timeoutMs }: RequestFacts, change: MemberChange): ApiCall {
  return {
    kind: 'memberChange',
    protocol: 'v3',
    timeoutMs,
    change,
    respond(result, header) {
      if (result.kind === 'failed') return failKept(result.failure);
      const { member, members } = result.answer;
      const added = member === null ? '' : `,"member":${memberJson(member)}`;
      return answer(header, withoutRevision, added + membersField(members));
    },
  };
}

export const memberList: ParseUnary = (scanner, { timeoutMs }) => {
  const request = readBody(listRequest, scanner);
  if (request === null) return null;
  return {
    kind: 'memberList',
    protocol: 'v3',
    timeoutMs,
    ...request,
    respond(result, header) {
      if (result.kind === 'failed') return failKept(result.failure);
      return answer(header, withoutRevision, membersField(result.answer));
    },
  };
};

// The URLs of a member that is to be added are checked before all else, even before the caller is.
export const memberAdd: ParseUnary = (scanner, facts) => {
  const request = readBody(addRequest, scanner);
  if (request === null) return null;
  const peerUrls = peerUrlsOf(request.peerUrls);
  if (peerUrls === null) return refuse({ kind: 'memberUrlsInvalid' });
  return changeCall(facts, { kind: 'add', peerUrls, isLearner: request.isLearner });
};

export const memberUpdate: ParseUnary = (scanner, facts) => {
  const request = readBody(updateRequest, scanner);
  if (request === null) return null;
  return changeCall(facts, { kind: 'update', id: request.id, peerUrls: peerUrlsOf(request.peerUrls) });
};

export const memberRemove: ParseUnary = (scanner, facts) => {
  const request = readBody(idRequest, scanner);
  return request && changeCall(facts, { kind: 'remove', id: request.id });
};

export const memberPromote: ParseUnary = (scanner, facts) => {
  const request = readBody(idRequest, scanner);
  return request && changeCall(facts, { kind: 'promote', id: request.id });
};

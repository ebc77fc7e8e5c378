// The messages of etcd's Lock and Election: requests out of protobuf, to the calls that v3's JSON makes, and answers
// into it.

import { leaseId } from '../../model/brands.ts';
import { Answer } from '../answer.ts';
import type { ApiCall } from '../contract.ts';
import type { LeaderKey } from '../queues.ts';
import {
  campaignCall,
  leaderCall,
  lockCall,
  proclaimCall,
  resignCall,
  type Shown,
  unlockCall,
} from '../v3/concurrency-calls.ts';
import type { RequestFacts } from '../v3/unary.ts';
import { type AnswerFields, type Decoder, decoder, encoder, keyValueOf } from './kv-messages.ts';

// The shapes are those that the descriptors give: a test decodes every field of each of them.

type NameMessage = { readonly name: Uint8Array };
type KeyMessage = { readonly key: Uint8Array };
type LockMessage = NameMessage & { readonly lease: bigint };
type CampaignMessage = LockMessage & { readonly value: Uint8Array };
type LeaderMessage = NameMessage & KeyMessage & { readonly rev: bigint; readonly lease: bigint };
type OfLeader = { readonly leader?: LeaderMessage };
type ProclaimMessage = OfLeader & { readonly value: Uint8Array };

const lock = '/v3lockpb.Lock/';
const election = '/v3electionpb.Election/';

type Parse = (message: Uint8Array) => ApiCall | null;

function parser<Request, Value>(
  path: string,
  decode: Decoder<Request>,
  call: (request: Request, facts: RequestFacts, shown: Shown<Value>) => ApiCall,
  fields: (value: Value, request: Request) => { readonly revision?: number; readonly fields?: AnswerFields },
): Readonly<Record<string, Parse>> {
  const encode = encoder(path);
  const parse: Parse = (message) => {
    const request = decode(message);
    if (request === null) return null;
    const facts = { timeoutMs: null, writeId: null, bodyBytes: message.byteLength };
    return call(request, facts, (header, value) => {
      const shown = fields(value, request);
      return new Answer(200, {}, encode(header, shown.revision ?? header.revision, shown.fields ?? {}));
    });
  };
  return { [path]: parse };
}

function withLease<Message extends { readonly lease: bigint }>(message: Message) {
  return { ...message, lease: leaseId(message.lease) };
}

/** An int64 that is compared with revisions may be rounded, as in v3's JSON. */
function leaderOf({ leader }: OfLeader): { readonly leader: LeaderKey | null } {
  if (leader === undefined) return { leader: null };
  const { name, key, rev, lease } = leader;
  return { leader: { name, key, createRevision: Number(rev), lease: leaseId(lease) } };
}

const revisionAlone = (revision: number): { readonly revision: number } => ({ revision });

const decodeLock = decoder(`${lock}Lock`, ({ name, lease }: LockMessage) => withLease({ name, lease }));
const decodeUnlock = decoder(`${lock}Unlock`, ({ key }: KeyMessage) => ({ key }));
const decodeCampaign = decoder(`${election}Campaign`, ({ name, lease, value }: CampaignMessage) =>
  withLease({ name, lease, value }),
);
const decodeProclaim = decoder(`${election}Proclaim`, (message: ProclaimMessage) => ({
  ...leaderOf(message),
  value: message.value,
}));
const decodeLeader = decoder(`${election}Leader`, ({ name }: NameMessage) => ({ name }));
const decodeResign = decoder(`${election}Resign`, leaderOf);

/** By the path of the method. */
export const concurrencyParsers: Readonly<Record<string, Parse>> = {
  ...parser(`${lock}Lock`, decodeLock, lockCall, ({ key, revision }) => ({ revision, fields: { key } })),
  ...parser(`${lock}Unlock`, decodeUnlock, unlockCall, revisionAlone),
  ...parser(`${election}Campaign`, decodeCampaign, campaignCall, (elected, { name }) => {
    const { key, createRevision, lease, revision } = elected;
    return { revision, fields: { leader: { name, key, rev: BigInt(createRevision), lease } } };
  }),
  ...parser(`${election}Proclaim`, decodeProclaim, proclaimCall, revisionAlone),
  ...parser(`${election}Leader`, decodeLeader, leaderCall, (kv) => ({ fields: { kv: keyValueOf(kv) } })),
  ...parser(`${election}Resign`, decodeResign, resignCall, revisionAlone),
};

// The messages of etcd's KV and Lease as the model has them: requests out of protobuf, and answers into it.

import { create, type DescMessage, toBinary } from '@bufbuild/protobuf';
import { assert, unreachable } from '../../base/assert.ts';
import { leaseId, noLease } from '../../model/brands.ts';
import type { ResponseHeader } from '../../model/calls.ts';
import type {
  CompactRequest,
  Compare,
  DeleteRangeRequest,
  KeyValue,
  PutRequest,
  RangeAnswer,
  RangeRequest,
  TxnAnswer,
  TxnOperation,
  TxnPart,
  TxnRequest,
} from '../../model/store.ts';
import { finishCompare, keepOperation, txnLevelsMax } from '../v3/schema.ts';
import { decodedMessage, methodAt } from './schema.ts';

// Requests. The shapes are those that the descriptors give: a test decodes every field of each of them.

type RangeMessage = {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
  readonly limit: bigint;
  readonly revision: bigint;
  readonly sortOrder: number;
  readonly sortTarget: number;
  readonly serializable: boolean;
  readonly keysOnly: boolean;
  readonly countOnly: boolean;
  readonly minModRevision: bigint;
  readonly maxModRevision: bigint;
  readonly minCreateRevision: bigint;
  readonly maxCreateRevision: bigint;
};

type PutMessage = {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly lease: bigint;
  readonly prevKv: boolean;
  readonly ignoreValue: boolean;
  readonly ignoreLease: boolean;
};

type DeleteRangeMessage = { readonly key: Uint8Array; readonly rangeEnd: Uint8Array; readonly prevKv: boolean };

type CompareMessage = {
  readonly result: number;
  readonly target: number;
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
  readonly targetUnion:
    | { readonly case: 'version' | 'createRevision' | 'modRevision' | 'lease'; readonly value: bigint }
    | { readonly case: 'value'; readonly value: Uint8Array }
    | { readonly case: undefined };
};

type OperationMessage = {
  readonly request:
    | { readonly case: 'requestRange'; readonly value: RangeMessage }
    | { readonly case: 'requestPut'; readonly value: PutMessage }
    | { readonly case: 'requestDeleteRange'; readonly value: DeleteRangeMessage }
    | { readonly case: 'requestTxn'; readonly value: TxnMessage }
    | { readonly case: undefined };
};

type TxnMessage = {
  readonly compare: readonly CompareMessage[];
  readonly success: readonly OperationMessage[];
  readonly failure: readonly OperationMessage[];
};

export type Decoder<Model> = (bytes: Uint8Array) => Model | null;

/** What a method takes. Null: the bytes are no such message. */
export function decoder<Model>(path: string, modelOf: (message: never) => Model): Decoder<Model> {
  const { input } = typesAt(path);
  // The descriptor decides the shape, of which the compiler knows nothing.
  return (bytes) => decodedMessage(input, bytes, (decoded) => modelOf(decoded as never));
}

function typesAt(path: string): { readonly input: DescMessage; readonly output: DescMessage } {
  const method = methodAt(path);
  assert(method !== null, `the descriptors have ${path}`);
  return method;
}

export const decodeRange = decoder('/etcdserverpb.KV/Range', rangeOf);
export const decodePut = decoder('/etcdserverpb.KV/Put', putOf);
export const decodeDeleteRange = decoder('/etcdserverpb.KV/DeleteRange', deleteRangeOf);
export const decodeTxn = decoder('/etcdserverpb.KV/Txn', (message: TxnMessage) => txnOf(message, 1));
export const decodeCompaction = decoder(
  '/etcdserverpb.KV/Compact',
  ({ revision }: { readonly revision: bigint }): CompactRequest => ({ revision: Number(revision) }),
);
export const decodeGrant = decoder(
  '/etcdserverpb.Lease/LeaseGrant',
  ({ TTL, ID }: { readonly TTL: bigint; readonly ID: bigint }) => ({ ttlSeconds: Number(TTL), id: leaseId(ID) }),
);
export const decodeRevoke = decoder('/etcdserverpb.Lease/LeaseRevoke', ({ ID }: { readonly ID: bigint }) =>
  leaseId(ID),
);
export const decodeKeepAlive = decoder('/etcdserverpb.Lease/LeaseKeepAlive', ({ ID }: { readonly ID: bigint }) =>
  leaseId(ID),
);
export const decodeTimeToLive = decoder(
  '/etcdserverpb.Lease/LeaseTimeToLive',
  ({ ID, keys }: { readonly ID: bigint; readonly keys: boolean }) => ({ id: leaseId(ID), keys }),
);

/** An int64 that is compared with revisions or counts may be rounded, as in v3's JSON. */
function rangeOf(message: RangeMessage): RangeRequest {
  const { key, rangeEnd, sortOrder, sortTarget, serializable, keysOnly, countOnly } = message;
  return {
    key,
    rangeEnd,
    limit: Number(message.limit),
    revision: Number(message.revision),
    sortOrder,
    sortTarget,
    serializable,
    keysOnly,
    countOnly,
    minModRevision: Number(message.minModRevision),
    maxModRevision: Number(message.maxModRevision),
    minCreateRevision: Number(message.minCreateRevision),
    maxCreateRevision: Number(message.maxCreateRevision),
  };
}

function putOf({ key, value, lease, prevKv, ignoreValue, ignoreLease }: PutMessage): PutRequest {
  return { key, value, lease: leaseId(lease), previous: prevKv, ignoreValue, ignoreLease };
}

function deleteRangeOf({ key, rangeEnd, prevKv }: DeleteRangeMessage): DeleteRangeRequest {
  return { key, rangeEnd, previous: prevKv };
}

function txnOf({ compare, success, failure }: TxnMessage, level: number): TxnRequest {
  return { compare: kept(compare, compareOf), success: branchOf(success, level), failure: branchOf(failure, level) };
}

function branchOf(operations: readonly OperationMessage[], level: number): TxnOperation[] {
  return kept(operations, (operation) => operationOf(operation, level));
}

/** One more than a store takes is enough for it to refuse them all. */
function kept<Message, Item>(messages: readonly Message[], itemOf: (message: Message) => Item): Item[] {
  const items: Item[] = [];
  for (const message of messages) {
    if (!keepOperation(items)) break;
    items.push(itemOf(message));
  }
  return items;
}

function operationOf({ request }: OperationMessage, level: number): TxnOperation {
  switch (request.case) {
    case 'requestRange':
      return { kind: 'range', request: rangeOf(request.value) };
    case 'requestPut':
      return { kind: 'put', request: putOf(request.value) };
    case 'requestDeleteRange':
      return { kind: 'deleteRange', request: deleteRangeOf(request.value) };
    case 'requestTxn': {
      const isTooDeep = level >= txnLevelsMax;
      const nested = isTooDeep ? { compare: [], success: [], failure: [] } : txnOf(request.value, level + 1);
      return { kind: 'txn', request: nested };
    }
    case undefined:
      return { kind: 'empty' };
    default:
      return unreachable(request);
  }
}

function compareOf({ result, target, key, rangeEnd, targetUnion }: CompareMessage): Compare {
  const number = (name: string): bigint =>
    targetUnion.case === name && typeof targetUnion.value === 'bigint' ? targetUnion.value : 0n;
  return finishCompare({
    result,
    target,
    key,
    rangeEnd,
    version: Number(number('version')),
    createRevision: Number(number('createRevision')),
    modRevision: Number(number('modRevision')),
    value: targetUnion.case === 'value' ? targetUnion.value : new Uint8Array(),
    lease: number('lease'),
  });
}

// Answers

/** The fields of an answer beside its header, by their names in the descriptors. */
export type AnswerFields = Readonly<Record<string, unknown>>;

export type Encoder = (header: ResponseHeader, revision: number, fields: AnswerFields) => Uint8Array;

/** What a method answers. */
export function encoder(path: string): Encoder {
  const { output } = typesAt(path);
  return (header, revision, fields) => {
    const init: Record<string, unknown> = { header: headerOf(header, revision), ...fields };
    return toBinary(output, create(output, init));
  };
}

function headerOf({ clusterId, memberId, raftTerm }: ResponseHeader, revision: number): AnswerFields {
  return {
    clusterId: BigInt(clusterId),
    memberId: BigInt(memberId),
    revision: BigInt(revision),
    raftTerm: BigInt(raftTerm),
  };
}

export function keyValueOf(kv: KeyValue): object {
  return {
    key: kv.key,
    createRevision: BigInt(kv.createRevision),
    modRevision: BigInt(kv.modRevision),
    version: BigInt(kv.version),
    value: kv.value,
    lease: kv.lease === noLease ? 0n : kv.lease,
  };
}

export function rangeFields({ kvs, more, count }: RangeAnswer): AnswerFields {
  return { kvs: kvs.map(keyValueOf), more, count: BigInt(count) };
}

export function txnFields({ succeeded, parts }: TxnAnswer): AnswerFields {
  return { succeeded, responses: parts.map((part) => ({ response: responseOf(part) })) };
}

/** The header inside of a transaction has the revision alone, and that of a transaction in it has nothing. */
function responseOf(part: TxnPart): object {
  switch (part.kind) {
    case 'range':
      return { case: 'responseRange', value: { ...partHeader(part.revision), ...rangeFields(part.answer) } };
    case 'put': {
      const { previous } = part.answer;
      const shown = previous === null ? {} : { prevKv: keyValueOf(previous) };
      return { case: 'responsePut', value: { ...partHeader(part.revision), ...shown } };
    }
    case 'deleteRange': {
      const { deleted, previous } = part.answer;
      const shown = { deleted: BigInt(deleted), prevKvs: previous.map(keyValueOf) };
      return { case: 'responseDeleteRange', value: { ...partHeader(part.revision), ...shown } };
    }
    case 'txn':
      return { case: 'responseTxn', value: { header: {}, ...txnFields(part.answer) } };
    default:
      return unreachable(part);
  }
}

function partHeader(revision: number): object {
  return { header: { revision: BigInt(revision) } };
}

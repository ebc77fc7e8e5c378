// The messages of etcd's rpc.proto that are served, as descriptors. The message of a new call is added in this file.

import { leaseId, noLease } from '../../model/brands.ts';
import { emptyBytes } from '../../base/bytes.ts';
import { txnOperationsMax } from '../../limits.ts';
import type {
  CompactRequest,
  Compare,
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  TxnOperation,
} from '../../model/store.ts';
import { sortOrder, sortTarget } from '../../model/store.ts';
import type { Scanner } from '../json/scanner.ts';
import type { Descriptor } from './message.ts';
import {
  bool,
  bytes,
  enumeration,
  int64,
  int64Exact,
  message,
  oneOf,
  readMessage,
  submessage,
  submessages,
} from './message.ts';

type Draft<Model> = { -readonly [Name in keyof Model]: Model[Name] };

const sortOrderNames = { NONE: sortOrder.none, ASCEND: sortOrder.ascend, DESCEND: sortOrder.descend };
const sortTargetNames = {
  KEY: sortTarget.key,
  VERSION: sortTarget.version,
  CREATE: sortTarget.create,
  MOD: sortTarget.mod,
  VALUE: sortTarget.value,
};

export const rangeRequest = message<Draft<RangeRequest>>(
  () => ({
    key: emptyBytes,
    rangeEnd: emptyBytes,
    limit: 0,
    revision: 0,
    sortOrder: 0,
    sortTarget: 0,
    serializable: false,
    keysOnly: false,
    countOnly: false,
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
  }),
  {
    key: bytes((into, value) => (into.key = value)),
    range_end: bytes((into, value) => (into.rangeEnd = value)),
    limit: int64((into, value) => (into.limit = value)),
    revision: int64((into, value) => (into.revision = value)),
    sort_order: enumeration(sortOrderNames, (into, value) => (into.sortOrder = value)),
    sort_target: enumeration(sortTargetNames, (into, value) => (into.sortTarget = value)),
    serializable: bool((into, value) => (into.serializable = value)),
    keys_only: bool((into, value) => (into.keysOnly = value)),
    count_only: bool((into, value) => (into.countOnly = value)),
    min_mod_revision: int64((into, value) => (into.minModRevision = value)),
    max_mod_revision: int64((into, value) => (into.maxModRevision = value)),
    min_create_revision: int64((into, value) => (into.minCreateRevision = value)),
    max_create_revision: int64((into, value) => (into.maxCreateRevision = value)),
  },
);

export const putRequest = message<Draft<PutRequest>>(
  () => ({
    key: emptyBytes,
    value: emptyBytes,
    lease: noLease,
    previous: false,
    ignoreValue: false,
    ignoreLease: false,
  }),
  {
    key: bytes((into, value) => (into.key = value)),
    value: bytes((into, value) => (into.value = value)),
    lease: int64Exact((into, value) => (into.lease = leaseId(value))),
    prev_kv: bool((into, value) => (into.previous = value)),
    ignore_value: bool((into, value) => (into.ignoreValue = value)),
    ignore_lease: bool((into, value) => (into.ignoreLease = value)),
  },
);

export const deleteRangeRequest = message<Draft<DeleteRangeRequest>>(
  () => ({ key: emptyBytes, rangeEnd: emptyBytes, previous: false }),
  {
    key: bytes((into, value) => (into.key = value)),
    range_end: bytes((into, value) => (into.rangeEnd = value)),
    prev_kv: bool((into, value) => (into.previous = value)),
  },
);

/** `physical` asks etcd to wait until the space is free again. Here an answered compaction has always freed it. */
export const compactionRequest = message<Draft<CompactRequest>>(() => ({ revision: 0 }), {
  revision: int64((into, value) => (into.revision = value)),
  physical: bool(() => undefined),
});

const compareResultNames = { EQUAL: 0, GREATER: 1, LESS: 2, NOT_EQUAL: 3 };
const compareTargetNames = { VERSION: 0, CREATE: 1, MOD: 2, VALUE: 3, LEASE: 4 };

/** Every operand has a field of its own: `target` says which one counts, and may come later in the message. */
type CompareDraft = {
  key: Uint8Array;
  rangeEnd: Uint8Array;
  result: number;
  target: number;
  version: number;
  createRevision: number;
  modRevision: number;
  value: Uint8Array;
  lease: bigint;
};

const compare = message<CompareDraft>(
  () => ({
    key: emptyBytes,
    rangeEnd: emptyBytes,
    result: 0,
    target: 0,
    version: 0,
    createRevision: 0,
    modRevision: 0,
    value: emptyBytes,
    lease: 0n,
  }),
  {
    result: enumeration(compareResultNames, (into, value) => (into.result = value)),
    target: enumeration(compareTargetNames, (into, value) => (into.target = value)),
    key: bytes((into, value) => (into.key = value)),
    version: oneOf(
      'operand',
      int64((into, value) => (into.version = value)),
    ),
    create_revision: oneOf(
      'operand',
      int64((into, value) => (into.createRevision = value)),
    ),
    mod_revision: oneOf(
      'operand',
      int64((into, value) => (into.modRevision = value)),
    ),
    value: oneOf(
      'operand',
      bytes((into, value) => (into.value = value)),
    ),
    lease: oneOf(
      'operand',
      int64Exact((into, value) => (into.lease = value)),
    ),
    range_end: bytes((into, value) => (into.rangeEnd = value)),
  },
);

/** An operand for another target than the one in the message counts as absent, and an absent one as zero or empty. */
export function finishCompare(draft: CompareDraft): Compare {
  const { key, rangeEnd, result, target } = draft;
  switch (target) {
    case compareTargetNames.VERSION:
      return { key, rangeEnd, result, target: 'version', operand: draft.version };
    case compareTargetNames.CREATE:
      return { key, rangeEnd, result, target: 'create', operand: draft.createRevision };
    case compareTargetNames.MOD:
      return { key, rangeEnd, result, target: 'mod', operand: draft.modRevision };
    case compareTargetNames.VALUE:
      return { key, rangeEnd, result, target: 'value', operand: draft.value };
    case compareTargetNames.LEASE:
      return { key, rangeEnd, result, target: 'lease', operand: leaseId(draft.lease) };
    default:
      return { key, rangeEnd, result, target: 'unknown' };
  }
}

type TxnDraft = { compare: Compare[]; success: TxnOperation[]; failure: TxnOperation[] };

type OperationDraft = { operation: TxnOperation };

/** The depth of JSON in one level of a transaction: the transaction, its list, the operation. */
const depthPerLevel = 3;

/**
 * Each level of a transaction uses at least one of the operations that the level above has left. So a transaction that
 * is nested more deeply is always refused for its operations, whatever it holds. The reader only checks its syntax,
 * which bounds the recursion.
 */
export const txnLevelsMax = txnOperationsMax + 1;

const nestedTxn = submessage<OperationDraft, TxnDraft>(
  () => txnRequest,
  (into, request) => (into.operation = { kind: 'txn', request }),
);

function readNestedTxn(scanner: Scanner, into: OperationDraft): boolean {
  if (scanner.depth < depthPerLevel * txnLevelsMax) return nestedTxn.read(scanner, into);
  into.operation = { kind: 'txn', request: { compare: [], success: [], failure: [] } };
  return scanner.skipValue();
}

const requestOperation = message<OperationDraft>(() => ({ operation: { kind: 'empty' } }), {
  request_range: oneOf(
    'request',
    submessage(
      () => rangeRequest,
      (into, request) => (into.operation = { kind: 'range', request }),
    ),
  ),
  request_put: oneOf(
    'request',
    submessage(
      () => putRequest,
      (into, request) => (into.operation = { kind: 'put', request }),
    ),
  ),
  request_delete_range: oneOf(
    'request',
    submessage(
      () => deleteRangeRequest,
      (into, request) => (into.operation = { kind: 'deleteRange', request }),
    ),
  ),
  request_txn: oneOf('request', { read: readNestedTxn, oneOf: null }),
});

/** One operation more than a transaction may have is enough for the store to refuse it, so no more are kept. */
export function keepOperation(items: readonly unknown[]): boolean {
  return items.length <= txnOperationsMax;
}

function keep<Item>(items: Item[], item: Item): void {
  if (keepOperation(items)) items.push(item);
}

export const txnRequest: Descriptor<TxnDraft> = message<TxnDraft>(() => ({ compare: [], success: [], failure: [] }), {
  compare: submessages(
    () => compare,
    (into, draft) => keep(into.compare, finishCompare(draft)),
  ),
  success: submessages(
    () => requestOperation,
    (into, { operation }) => keep(into.success, operation),
  ),
  failure: submessages(
    () => requestOperation,
    (into, { operation }) => keep(into.failure, operation),
  ),
});

/**
 * Reads the body of a call with one message: the first JSON value counts, what follows it is passed over, and an empty
 * body is an empty message.
 */
export function readBody<Message>(descriptor: Descriptor<Message>, scanner: Scanner): Message | null {
  return scanner.atEnd() ? descriptor.create() : readMessage(descriptor, scanner);
}

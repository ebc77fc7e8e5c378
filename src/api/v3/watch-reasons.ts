// Why a watch of etcd's is refused or canceled, in words: etcd's where etcd has them, and this service's where etcd has
// no such bound.

import { emptyBytes } from '../../base/bytes.ts';
import { rangeBoundBytesMax } from '../../limits.ts';
import { isEmptyRange } from '../../model/key-range.ts';
import type { KeyRange } from '../../model/store.ts';
import { etcdWords, type Failure } from '../errors/errors.ts';

/** etcd's words for a watch that it ends. */
export const cancelReasons = {
  compacted: 'etcdserver: mvcc: required revision has been compacted',
  emptyRange: 'mvcc: watcher range is empty',
  duplicateWatchId: 'mvcc: duplicate watch ID provided on the WatchStream',
} as const;

/** These are words of this service, because etcd has none: a stream holds what fits its bounds. */
export const fullReasons = {
  tooManyWatchers: 'quorate: this replica serves as many watches as it can',
  tooManyOfTenant: 'quorate: the tenant has as many watches on this replica as its operator lets it have, end some',
  streamFull: 'quorate: this stream holds as many watches as it can, open another stream',
} as const;

/** etcd prints the error of its interceptor here, code and all. */
export function permissionReason(failure: Failure): string {
  return `rpc error: code = ${permissionCode(failure)} desc = ${etcdWords(failure)}`;
}

function permissionCode(failure: Failure): string {
  if (failure.kind === 'userNameEmpty') return 'InvalidArgument';
  const denied = ['forbidden', 'accessKeyForbidden', 'permissionDenied'].includes(failure.kind);
  return denied ? 'PermissionDenied' : 'Unauthenticated';
}

export function slowReason(resume: number): string {
  return `quorate: the client does not keep up, watch again from revision ${resume}`;
}

export function tooLargeReason(revision: number): string {
  return `quorate: the events of revision ${revision} do not fit a message, watch without prev_kv`;
}

/**
 * The same of the keys that can be: beyond the longest one, and a byte more, a bound tells no two of them apart. etcd
 * takes a key of any length, and no event ever comes for one that cannot be written.
 */
export function withinKeys(asked: KeyRange): KeyRange {
  const range = cutRange(asked);
  return isEmptyRange(range) ? { key: range.key, rangeEnd: emptyBytes } : range;
}

/** The same in the bytes that a bound may have. */
export function cutRange({ key, rangeEnd }: KeyRange): KeyRange {
  return { key: key.slice(0, rangeBoundBytesMax), rangeEnd: rangeEnd.slice(0, rangeBoundBytesMax) };
}

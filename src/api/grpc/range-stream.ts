// KV.RangeStream: a range whose answer may come in parts, of which a reader makes one answer. Here it is one part, and
// so the answer of KV.Range inside of another message.

import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { sortOrder, sortTarget } from '../../model/store.ts';
import { grpc } from '../errors/wire-error.ts';
import { decodeRange } from './kv-messages.ts';
import type { GrpcStatus } from './status.ts';

export const rangeStreamPath = '/etcdserverpb.KV/RangeStream';
export const rangePath = '/etcdserverpb.KV/Range';

/** The message of the stream that has this answer of a range. */
export function rangeStreamMessage(range: Uint8Array): Uint8Array {
  return new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(range).finish();
}

const orders: ReadonlySet<number> = new Set(Object.values(sortOrder));
const targets: ReadonlySet<number> = new Set(Object.values(sortTarget));

/** What etcd refuses in a stream alone, in its words. Null: it is a range as any other. */
export function rangeStreamRefusal(message: Uint8Array): GrpcStatus | null {
  const request = decodeRange(message);
  if (request === null) return null;
  const { sortOrder: order, sortTarget: target } = request;
  const isRange = request.key.byteLength > 0 && orders.has(order) && targets.has(target);
  // What is wrong with the range itself is told by the range.
  if (!isRange) return null;
  const isByKey = order === sortOrder.none || (order === sortOrder.ascend && target === sortTarget.key);
  if (!isByKey) return refused('RangeStream does not support custom sort orders');
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request;
  const filters = [minModRevision, maxModRevision, minCreateRevision, maxCreateRevision];
  return filters.every((each) => each === 0) ? null : refused('RangeStream does not support revision filters');
}

function refused(message: string): GrpcStatus {
  return { code: grpc.unimplemented, message };
}

// etcd's answers as JSON text: fields have their names in the .proto files, 64-bit integers are strings, bytes are
// base64, and defaults are left out. The texts are joined by hand, because nearly every answer is one object of a known
// shape.

import { unreachable } from '../../base/assert.ts';
import { base64 } from '../../base/bytes.ts';
import type {
  DeleteRangeAnswer,
  KeyValue,
  Pairs,
  PutAnswer,
  RangeAnswer,
  StoreEvent,
  TxnAnswer,
  TxnPart,
} from '../../model/store.ts';
import { noLease } from '../../model/brands.ts';
import type { ResponseHeader } from '../contract.ts';

/** A `revision` of 0 is left out, as in the answer to a watch that is refused for its start. */
export function headerJson(header: ResponseHeader, revision: number): string {
  const { clusterId, memberId, raftTerm } = header;
  const shown = revision === 0 ? '' : `,"revision":"${revision}"`;
  return `"header":{"cluster_id":"${clusterId}","member_id":"${memberId}"${shown},"raft_term":"${raftTerm}"}`;
}

/** The header inside the answer of a transaction, which has the revision alone. */
function partHeaderJson(revision: number): string {
  return `"header":{"revision":"${revision}"}`;
}

export function keyValueJson(kv: KeyValue): string {
  let text = `{"key":"${base64(kv.key)}"`;
  if (kv.createRevision !== 0) text += `,"create_revision":"${kv.createRevision}"`;
  if (kv.modRevision !== 0) text += `,"mod_revision":"${kv.modRevision}"`;
  if (kv.version !== 0) text += `,"version":"${kv.version}"`;
  if (kv.value.byteLength !== 0) text += `,"value":"${base64(kv.value)}"`;
  if (kv.lease !== noLease) text += `,"lease":"${kv.lease}"`;
  return `${text}}`;
}

function keyValuesJson(kvs: Pairs): string {
  let text = '';
  for (const kv of kvs) text += text === '' ? keyValueJson(kv) : `,${keyValueJson(kv)}`;
  return text;
}

/** The fields after the header, for each kind of answer. The text begins with a comma where it is not empty. */
export function rangeFields(answer: RangeAnswer): string {
  let text = '';
  if (answer.kvs.length > 0) text += `,"kvs":[${keyValuesJson(answer.kvs)}]`;
  if (answer.more) text += ',"more":true';
  if (answer.count !== 0) text += `,"count":"${answer.count}"`;
  return text;
}

export function putFields(answer: PutAnswer): string {
  return answer.previous === null ? '' : `,"prev_kv":${keyValueJson(answer.previous)}`;
}

export function deleteRangeFields(answer: DeleteRangeAnswer): string {
  let text = '';
  if (answer.deleted !== 0) text += `,"deleted":"${answer.deleted}"`;
  if (answer.previous.length > 0) text += `,"prev_kvs":[${keyValuesJson(answer.previous)}]`;
  return text;
}

export function txnFields(answer: TxnAnswer): string {
  let text = answer.succeeded ? ',"succeeded":true' : '';
  if (answer.parts.length > 0) text += `,"responses":[${answer.parts.map(partJson).join(',')}]`;
  return text;
}

function partJson(part: TxnPart): string {
  switch (part.kind) {
    case 'range':
      return `{"response_range":{${partHeaderJson(part.revision)}${rangeFields(part.answer)}}}`;
    case 'put':
      return `{"response_put":{${partHeaderJson(part.revision)}${putFields(part.answer)}}}`;
    case 'deleteRange':
      return `{"response_delete_range":{${partHeaderJson(part.revision)}${deleteRangeFields(part.answer)}}}`;
    case 'txn':
      return `{"response_txn":{"header":{}${txnFields(part.answer)}}}`;
    default:
      return unreachable(part);
  }
}

export function eventJson(event: StoreEvent, withPrevious: boolean): string {
  const type = event.type === 'delete' ? '"type":"DELETE",' : '';
  const previous = withPrevious && event.previous !== null ? `,"prev_kv":${keyValueJson(event.previous)}` : '';
  return `{${type}"kv":${keyValueJson(event.kv)}${previous}}`;
}

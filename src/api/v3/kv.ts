// etcd's kv: range, put, deleterange, txn, compaction, with the sizes that etcd measures them by.

import { unreachable } from '../../base/assert.ts';
import { readTooLarge } from '../../model/call-check.ts';
import type { RangeRequest } from '../../model/store.ts';
import type { ApiCall, AppliedOutcome } from '../contract.ts';
import { deleteRangeFields, putFields, rangeFields, txnFields } from './encode.ts';
import { compactionRequest, deleteRangeRequest, putRequest, rangeRequest, readBody, txnRequest } from './schema.ts';
import type { RequestFacts, ParseUnary } from './unary.ts';
import { answer, failKept, refuse, sizedWrite } from './unary.ts';

function rangeCall(request: RangeRequest, { bodyBytes, timeoutMs }: RequestFacts): ApiCall {
  const refusal = readTooLarge(request, bodyBytes);
  if (refusal !== null) return refuse(refusal);
  return {
    kind: 'read',
    protocol: 'v3',
    timeoutMs,
    request,
    serializable: request.serializable,
    respond(result, header) {
      if (result.kind === 'failed') return failKept(result.failure);
      return answer(header, header.revision, rangeFields(result.answer));
    },
  };
}

function outcomeFields(outcome: AppliedOutcome): string {
  switch (outcome.kind) {
    case 'put':
      return putFields(outcome.answer);
    case 'deleteRange':
      return deleteRangeFields(outcome.answer);
    case 'txn':
      return txnFields(outcome.answer);
    case 'compact':
    case 'createAccessKey':
    case 'revokeAccessKey':
    case 'leaseGrant':
    case 'alarm':
    case 'done':
      return '';
    default:
      return unreachable(outcome);
  }
}

export const range: ParseUnary = (scanner, facts) => {
  const request = readBody(rangeRequest, scanner);
  return request && rangeCall(request, facts);
};

export const put: ParseUnary = (scanner, facts) => {
  const request = readBody(putRequest, scanner);
  return request && sizedWrite({ kind: 'put', request }, facts, { fields: outcomeFields });
};

export const deleteRange: ParseUnary = (scanner, facts) => {
  const request = readBody(deleteRangeRequest, scanner);
  return request && sizedWrite({ kind: 'deleteRange', request }, facts, { fields: outcomeFields });
};

export const txn: ParseUnary = (scanner, facts) => {
  const request = readBody(txnRequest, scanner);
  return request && sizedWrite({ kind: 'txn', request }, facts, { fields: outcomeFields });
};

export const compaction: ParseUnary = (scanner, facts) => {
  const request = readBody(compactionRequest, scanner);
  return request && sizedWrite({ kind: 'compact', request }, facts, { fields: outcomeFields });
};

// Whether an outcome can be that of an operation. A write id that was used for another request finds the outcome of
// that request, which does not answer this one. Pure.

import { unreachable } from '../base/assert.ts';
import type { Operation, Outcome, TxnAnswer, TxnPart, TxnRequest } from '../model/store.ts';
import { isAdministration } from './codec/administration-codec.ts';

/** This goes by the form alone: two requests of one form are told apart by their digests, if these are known. */
export function canAnswer(operation: Operation, outcome: Outcome): boolean {
  if (outcome.kind === 'failed' || outcome.kind === 'appliedBefore') return true;
  if (operation.kind === 'txn') return outcome.kind === 'txn' && answersTxn(operation.request, outcome.answer);
  return outcome.kind === outcomeKindOf(operation);
}

function outcomeKindOf(operation: Exclude<Operation, { readonly kind: 'txn' }>): Outcome['kind'] {
  if (!isAdministration(operation)) return operation.kind;
  const { kind } = operation;
  if (kind === 'leaseGrant') return kind;
  return kind === 'alarmActivate' || kind === 'alarmDeactivate' ? 'alarm' : 'done';
}

function answersTxn(request: TxnRequest, { succeeded, parts }: TxnAnswer): boolean {
  const branch = succeeded ? request.success : request.failure;
  return branch.length === parts.length && branch.every((operation, place) => isPartOf(operation, parts[place]));
}

function isPartOf(operation: TxnRequest['success'][number], part: TxnPart | undefined): boolean {
  switch (operation.kind) {
    case 'range':
    case 'put':
    case 'deleteRange':
      return part?.kind === operation.kind;
    case 'txn':
      return part?.kind === 'txn' && answersTxn(operation.request, part.answer);
    case 'empty':
      return false;
    default:
      return unreachable(operation);
  }
}

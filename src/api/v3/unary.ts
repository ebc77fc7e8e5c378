// What all calls of etcd's with one message and one answer have in common: how a message is parsed, and how it is
// answered.

import { Answer, jsonHeaders } from '../answer.ts';
import { writeTooLarge } from '../../model/call-check.ts';
import type { Operation, Outcome } from '../../model/store.ts';
import type { AnswerTo, Query } from '../../model/queries.ts';
import type { ApiCall, AppliedOutcome, QueryCall, RefusedCall, ResponseHeader, WriteCall } from '../contract.ts';
import type { Failure } from '../errors/errors.ts';
import { failureAnswer } from '../errors/errors.ts';
import type { Scanner } from '../json/scanner.ts';
import { answerOf } from '../query-answer.ts';
import { headerJson } from './encode.ts';

/** What a parser knows of a request beside its message. */
export type RequestFacts = {
  readonly timeoutMs: number | null;
  readonly writeId: string | null;
  readonly bodyBytes: number;
};

/** Parses one message; null where it is not valid, and the scanner then has the fault. */
export type ParseUnary = (scanner: Scanner, facts: RequestFacts) => ApiCall | null;

/** How a call tells its failures: by their own codes, or as lock and election do. */
export type Fail = (failure: Failure) => Answer;

export const failKept: Fail = (failure) => failureAnswer('v3', failure);

export function jsonAnswer(text: string): Answer {
  return new Answer(200, jsonHeaders, text);
}

/** `fields` begins with a comma where it is not empty. */
export function answer(header: ResponseHeader, revision: number, fields = ''): Answer {
  return jsonAnswer(`{${headerJson(header, revision)}${fields}}`);
}

export function refuse(failure: Failure): RefusedCall {
  return refuseWith(failKept, failure);
}

/** Answers the fields of an outcome that is not a failure. */
export function respondTo(fail: Fail, fields: (outcome: AppliedOutcome) => string) {
  return (outcome: Outcome, header: ResponseHeader): Answer => {
    if (outcome.kind === 'failed') return fail(outcome.failure);
    const { revision } = outcome;
    if (outcome.kind === 'appliedBefore') return fail({ kind: 'appliedBefore', revision });
    return answer(header, revision, fields(outcome));
  };
}

const headerOnly = (): string => '';

export type WriteOptions = { readonly fields?: (outcome: AppliedOutcome) => string };

export function writeCall(
  facts: RequestFacts,
  operation: Operation,
  { fields = headerOnly }: WriteOptions = {},
): WriteCall {
  const { timeoutMs, writeId } = facts;
  return { kind: 'write', protocol: 'v3', timeoutMs, writeId, operation, respond: respondTo(failKept, fields) };
}

/** etcd's limits on what is written, after a decoder of JSON. */
export function findTooLarge(operation: Operation, { bodyBytes }: RequestFacts): Failure | null {
  return writeTooLarge(operation, bodyBytes);
}

/** A write that can be large is measured before it becomes a call. */
export function sizedWrite(operation: Operation, facts: RequestFacts, options: WriteOptions): ApiCall {
  const failure = findTooLarge(operation, facts);
  return failure === null ? writeCall(facts, operation, options) : refuse(failure);
}

export function refuseWith(fail: Fail, failure: Failure): RefusedCall {
  return { kind: 'refused', response: fail(failure).toResponse() };
}

export function queryCall<Kind extends Query['kind']>(
  facts: RequestFacts,
  query: Query & { readonly kind: Kind },
  fields: (answer: AnswerTo<Kind>) => string,
): QueryCall {
  return {
    kind: 'query',
    protocol: 'v3',
    timeoutMs: facts.timeoutMs,
    query,
    respond(result, header) {
      if (result.kind === 'failed') return failKept(result.failure);
      return answer(header, result.revision, fields(answerOf(query.kind, result)));
    },
  };
}

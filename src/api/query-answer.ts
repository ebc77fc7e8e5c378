// The answer to a query, with the type that belongs to the kind of the query.

import { assert } from '../base/assert.ts';
import { type AnswerTo, isAnswerTo, type Query, type QueryResult } from '../model/queries.ts';

type Answered = Extract<QueryResult, { readonly kind: 'answer' }>;

export function answerOf<Kind extends Query['kind']>(kind: Kind, { answer }: Answered): AnswerTo<Kind> {
  assert(isAnswerTo(kind, answer), `the answer to a query of kind ${kind}`);
  return answer;
}

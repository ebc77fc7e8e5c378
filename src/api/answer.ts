// The answer to a call as data: what `respond` makes of an outcome, wherever the call was parsed. The gateway and the
// replicas make the platform's Response of it; a process that speaks HTTP itself writes it as it is.

import { answerWith } from './large-answer.ts';

export type AnswerHeaders = Readonly<Record<string, string>>;

/** The headers of most answers of v3. */
export const jsonHeaders: AnswerHeaders = { 'content-type': 'application/json' };
/** A Headers object is copied faster than a record of headers. */
const copiedHeaders = new Headers(jsonHeaders);

export class Answer {
  readonly status: number;
  /** Names are in lower case. */
  readonly headers: AnswerHeaders;
  /** null: the answer has no body, though it may say how long the body would be. */
  readonly body: string | Uint8Array | null;

  constructor(status: number, headers: AnswerHeaders, body: string | Uint8Array | null) {
    this.status = status;
    this.headers = headers;
    this.body = body;
  }

  withHeader(name: string, value: string): Answer {
    return new Answer(this.status, { ...this.headers, [name]: value }, this.body);
  }

  toResponse(): Response {
    const { status, body } = this;
    const headers = this.headers === jsonHeaders ? copiedHeaders : this.headers;
    return body === null ? new Response(null, { status, headers }) : answerWith(body, { status, headers });
  }
}

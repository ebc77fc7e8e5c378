// The id of a request: it stands in the answer, in a problem's body, and in what is logged of the request. A client
// names its request by the header that most platforms take for it. A request without a good name is given one.

import { requestIdBytesMax } from '../limits.ts';
import { problemContentType } from './errors/wire-error.ts';

export const requestIdHeader = 'x-request-id';

/** What may stand in a line of any log as it is: no blanks, no quotes, nothing beyond ASCII. */
const wellFormed = new RegExp(`^[\\w.~:+/=@-]{1,${requestIdBytesMax}}$`);

export class RequestIds {
  readonly #random: () => string;
  #prefix = '';
  #made = 0;

  /** `random`: an id that nobody else makes. It is asked for once, so no request costs randomness. */
  constructor(random: () => string) {
    this.#random = random;
  }

  /** The client's own id where it is well-formed, and else a new one. */
  of(sent: string | null): string {
    if (sent !== null && wellFormed.test(sent)) return sent;
    if (this.#prefix === '') this.#prefix = this.#random();
    this.#made++;
    return `${this.#prefix}-${this.#made.toString(36)}`;
  }
}

/** Whether a body of this type is a problem, which has the id of its request. */
export function isProblem(contentType: string | null | undefined): boolean {
  return contentType === problemContentType;
}

/** The JSON text of a problem with the id. No character of an id is escaped in JSON. */
export function problemOfRequest(problem: string, requestId: string): string {
  return problem.endsWith('}') ? `${problem.slice(0, -1)},"request_id":"${requestId}"}` : problem;
}

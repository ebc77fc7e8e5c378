// An answer as it goes to a client: what the platform would make of the Response that rendered a call.

export type RenderedAnswer = {
  readonly status: number;
  /** Names and values alternate, as `writeHead` of node:http takes them. */
  readonly headers: string[];
  readonly body: Buffer;
};

const hasNoBody: ReadonlySet<number> = new Set([204, 304]);

/** @param method Of the request: an answer to HEAD has no body, and says its length only if whoever made it did. */
export async function render(answer: Response, method: string): Promise<RenderedAnswer> {
  const headers: string[] = [];
  for (const [name, value] of answer.headers) headers.push(name, value);
  const body = Buffer.from(await answer.arrayBuffer());
  if (method !== 'HEAD' && !hasNoBody.has(answer.status) && !answer.headers.has('content-length')) {
    headers.push('content-length', String(body.byteLength));
  }
  return { status: answer.status, headers, body };
}

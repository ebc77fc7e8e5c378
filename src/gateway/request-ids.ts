// The ids of the requests that this isolate serves. One that was made is known for as long as its request is, so the
// answer and each line of the log have the same.

import { isProblem, problemOfRequest, requestIdHeader, RequestIds } from '../api/request-id.ts';
import { newId } from '../tenants/key-text.ts';

const ids = new RequestIds(newId);
const known = new WeakMap<Request, string>();

export function requestIdOf(request: Request): string {
  const before = known.get(request);
  if (before !== undefined) return before;
  const id = ids.of(request.headers.get(requestIdHeader));
  known.set(request, id);
  return id;
}

/** The answer of the gateway or a replica with the id. */
export async function withRequestId(response: Response, requestId: string): Promise<Response> {
  const { status, headers } = response;
  if (status >= 400 && response.body !== null && isProblem(headers.get('content-type'))) {
    const problem = new Response(problemOfRequest(await response.text(), requestId), response);
    problem.headers.delete('content-length');
    problem.headers.set(requestIdHeader, requestId);
    return problem;
  }
  try {
    headers.set(requestIdHeader, requestId);
    return response;
  } catch {
    // The headers of what another object answered cannot be changed.
    return copyWith(response, requestId);
  }
}

function copyWith(response: Response, requestId: string): Response {
  const { status, webSocket } = response;
  const headers = new Headers(response.headers);
  headers.set(requestIdHeader, requestId);
  if (webSocket !== null) return new Response(null, { status, webSocket, headers });
  const { statusText, body } = response;
  return new Response(body, { status, statusText, headers });
}

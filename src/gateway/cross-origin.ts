// Calls from pages of other origins (Fetch standard, "CORS protocol"): any origin may call with a key, and none with
// cookies. Hono's middleware for this is not used, because it copies every answer, even where no page of another origin
// asks.

const methods = 'GET, PUT, POST, PATCH, DELETE, OPTIONS';
const requestHeaders =
  'Authorization, Quorate-Key, Content-Type, If-Match, If-None-Match, Idempotency-Key, Last-Event-ID, Quorate-Read, Quorate-Tenant, Accept, Grpc-Timeout, Grpc-Metadata-Token, X-Request-Id';
const responseHeaders =
  'ETag, Quorate-Revision, Quorate-Create-Revision, Quorate-Version, Quorate-Lease, Quorate-Served-By, Quorate-Writes, Retry-After, RateLimit, RateLimit-Policy, WWW-Authenticate, Location, Allow, Accept-Encoding, X-Content-Type-Options, X-Accel-Buffering, X-Request-Id';
const maxAgeSeconds = 86_400;

export function preflight(request: Request): Response {
  return new Response(null, {
    status: 204,
    headers: {
      'access-control-allow-origin': '*',
      'access-control-allow-methods': methods,
      'access-control-allow-headers': request.headers.get('Access-Control-Request-Headers') ?? requestHeaders,
      'access-control-max-age': String(maxAgeSeconds),
    },
  });
}

/**
 * The answer to an upgrade stays as it is: CORS does not apply to a WebSocket, and the response that holds one must not
 * be copied.
 */
export function withCors(response: Response): Response {
  if (response.status === 101) return response;
  const copy = new Response(response.body, response);
  copy.headers.set('access-control-allow-origin', '*');
  copy.headers.set('access-control-expose-headers', responseHeaders);
  return copy;
}

// The path and the query that a client called, as the client sent them, and the URL by which they reach a replica. And
// the host that it called, which the runtime puts into the URL of a request whatever it is.

/** Path and query, neither of them decoded. */
export type RequestTarget = { readonly path: string; readonly query: string };

/** The path and the query of the URL that a client sent. The runtime leaves them as they were sent. */
export function pathAndQuery(url: string): RequestTarget {
  const start = url.indexOf('/', url.indexOf('//') + 2);
  return start < 0 ? { path: '/', query: '' } : splitTarget(url.slice(start));
}

/**
 * Every call of a client goes to a replica by a URL that begins so, and the path and query that the client called
 * follow as the query of this URL. The URL standard resolves no dot segments in a query, and takes no backslash in it
 * for a slash. So nothing that a client sends chooses where a request goes.
 */
const callUrlStart = 'http://replica.internal/call?';

export function callUrl({ path, query }: RequestTarget): string {
  return query === '' ? `${callUrlStart}${path}` : `${callUrlStart}${path}?${query}`;
}

/**
 * The path and query that `callUrl` was given, apart from what the URL standard percent-encodes in a query; null:
 * `callUrl` made no such URL.
 */
export function targetOf(url: string): RequestTarget | null {
  return url.startsWith(callUrlStart) ? splitTarget(url.slice(callUrlStart.length)) : null;
}

/** A path with its query, as it stands in the first line of a request. */
export function splitTarget(pathWithQuery: string): RequestTarget {
  const mark = pathWithQuery.indexOf('?');
  if (mark < 0) return { path: pathWithQuery, query: '' };
  return { path: pathWithQuery.slice(0, mark), query: pathWithQuery.slice(mark + 1) };
}

/** What RFC 3986, 3.2.2 and 3.2.3 allow as a host with its port. */
const authority = /^(?:\[[\da-f:.]+\]|(?:[\w\-.~!$&'()*+,;=]|%[\da-f]{2})+)(?::\d*)?$/i;
/** Clients call few hosts, and each call names one. */
let lastHost = '';

/** Whether the value of `Host` can be the host of a URL: what cannot is refused (RFC 9112, 3.2). */
export function isHost(host: string): boolean {
  if (host === lastHost) return true;
  if (!authority.test(host) || !URL.canParse(`http://${host}/`)) return false;
  lastHost = host;
  return true;
}

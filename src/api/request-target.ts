// The path and the query that a client called, as it sent them, and the URL by which they reach a replica.

/** Neither of them decoded. */
export type RequestTarget = { readonly path: string; readonly query: string };

/** Path and query of the URL that a client sent, as it sent them: the runtime hands them on untouched. */
export function pathAndQuery(url: string): RequestTarget {
  const start = url.indexOf('/', url.indexOf('//') + 2);
  return start < 0 ? { path: '/', query: '' } : split(url.slice(start));
}

/**
 * Every call of a client goes to a replica by this URL, and what the client called stands behind it: in a query, where
 * the URL standard resolves no dot segments and takes no backslash for a slash. So nothing that a client sends chooses
 * where a request goes.
 */
const callUrlStart = 'http://replica.internal/call?';

export function callUrl({ path, query }: RequestTarget): string {
  return query === '' ? `${callUrlStart}${path}` : `${callUrlStart}${path}?${query}`;
}

/** What `callUrl` was given, but for what the URL standard percent-encodes in a query; null: it is not such a URL. */
export function targetOf(url: string): RequestTarget | null {
  return url.startsWith(callUrlStart) ? split(url.slice(callUrlStart.length)) : null;
}

function split(pathWithQuery: string): RequestTarget {
  const mark = pathWithQuery.indexOf('?');
  if (mark < 0) return { path: pathWithQuery, query: '' };
  return { path: pathWithQuery.slice(0, mark), query: pathWithQuery.slice(mark + 1) };
}

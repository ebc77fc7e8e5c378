// A port of the front, and in whose name its clients call. On the port of a tenant etcd's calls are made in the name of
// an access key of the port's own: by gRPC, and over HTTP/1.1 unless a web page may stand behind them.

import type { IncomingMessage } from 'node:http';
import { endpointOf } from '../api/routes.ts';
import { splitTarget } from '../api/request-target.ts';
import { ListedHeaders } from './request-headers.ts';

export type ListenAddress = { readonly host: string; readonly port: number };

export type PortOptions = ListenAddress & {
  /** The access key in whose name the port speaks. Absent: each caller brings its own. */
  readonly key?: string;
};

export type BoundPort = {
  /** null: each caller brings its own. */
  readonly key: string | null;
  readonly scheme: 'http' | 'https';
  /** The address of the port for its clients; null: whatever they called. */
  readonly clientUrl: string | null;
};

const loopbackForm = /^(?:127(?:\.\d{1,3}){3}|localhost|::1)$/;

/** Whether only this machine's own programs reach the host. */
export function isLoopback(host: string): boolean {
  return loopbackForm.test(host);
}

export function urlOfPort(scheme: 'http' | 'https', host: string, port: number): string {
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** Names that a page of another site cannot have in its address, whatever its name is made to resolve to. */
const ownHost = /^(?:localhost|\d{1,3}(?:\.\d{1,3}){3}|\[[\da-fA-F:.]+\])(?::\d{1,5})?$/;

/**
 * Puts the key of the port into a request for one of etcd's calls, or for its health. A browser says whose page calls
 * (`Origin`, `Sec-Fetch-Site`), and such a call brings its own key, and so does one that names a tenant.
 */
export function nameCaller({ method = '', url = '', rawHeaders }: IncomingMessage, { key, scheme }: BoundPort): void {
  if (key === null) return;
  const headers = new ListedHeaders(rawHeaders);
  const { path } = splitTarget(url);
  if (endpointOf({ method, path, headers }).protocol !== 'v3') return;
  if (headers.has('Quorate-Key') || headers.has('Quorate-Tenant') || headers.has('Origin')) return;
  if ((headers.get('Sec-Fetch-Site') ?? 'none') !== 'none') return;
  if (scheme === 'http' && !ownHost.test(headers.get('Host') ?? '')) return;
  rawHeaders.push('Quorate-Key', key);
}

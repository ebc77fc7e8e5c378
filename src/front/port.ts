// A port of the front, and in whose name its clients call. On the port of a tenant etcd's calls are made in the name of
// an access key of the port's own: by gRPC, and over HTTP/1.1 unless a web page may stand behind them.

import type { IncomingMessage } from 'node:http';
import { endpointOf } from '../api/routes.ts';
import { splitTarget } from '../api/request-target.ts';
import type { PortTls, TlsFiles } from './port-tls.ts';
import { ListedHeaders } from './request-headers.ts';

export type ListenAddress = { readonly host: string; readonly port: number };

export type PortOptions = ListenAddress & {
  /** The access key in whose name the port speaks. Absent: each caller brings its own. */
  readonly key?: string;
  /** Absent: plain text. */
  readonly tls?: PortTls;
};

export type BoundPort = {
  /** null: each caller brings its own. */
  readonly key: string | null;
  readonly scheme: 'http' | 'https';
  /** The address of the port for its clients; null: whatever they called. */
  readonly clientUrl: string | null;
  /** null: plain text, or what comes out of TLS. */
  readonly tls: PortTls | null;
};

/** A client beyond this machine may know the port by another address than the port does. */
export function boundPort({ key, host, tls }: PortOptions, port: number): BoundPort {
  const scheme = tls === undefined ? 'http' : 'https';
  const isOwn = key !== undefined && isLoopback(host);
  return { key: key ?? null, scheme, clientUrl: isOwn ? urlOfPort(scheme, host, port) : null, tls: tls ?? null };
}

const loopbackForm = /^(?:127(?:\.\d{1,3}){3}|localhost|::1)$/;

/** Whether only this machine's own programs reach the host. */
export function isLoopback(host: string): boolean {
  return loopbackForm.test(host);
}

/** Why a port that is bound to a tenant cannot listen there. Null: it can. `asks`: for certificates of clients. */
export function boundPortFault(host: string, asks: boolean): string | null {
  if (asks || isLoopback(host)) return null;
  return (
    'whoever reaches this port uses the store, so it listens on loopback alone (127.0.0.1, localhost or [::1]), ' +
    'or asks for certificates (--tls-client-ca)'
  );
}

/** @returns The files, or what is wrong with the options; null: the port is in plain text. */
export function tlsFilesOf(options: {
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly clientCa: string | undefined;
}): TlsFiles | string | null {
  const { cert, key, clientCa } = options;
  if (cert !== undefined && key !== undefined) return { cert, key, clientCa: clientCa ?? null };
  if (cert !== undefined) return '--tls-cert needs --tls-key';
  if (key !== undefined) return '--tls-key needs --tls-cert';
  return clientCa === undefined ? null : '--tls-client-ca needs --tls-cert and --tls-key';
}

/** The words for etcdctl that reach a port. What is in capitals is for its user to say. */
export function etcdctlWords(url: string, tls: TlsFiles | null): string {
  if (tls === null) return `--endpoints ${new URL(url).host}`;
  return `--endpoints ${url} --cacert CA${tls.clientCa === null ? '' : ' --cert CERT --key KEY'}`;
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

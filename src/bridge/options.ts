// The command line of `npm run bridge`: its options, its help, and what is wrong with an option.

import { fstatSync, openSync, readFileSync, closeSync } from 'node:fs';
import { tenantNamedBy } from '../api/credentials.ts';
import { boundPortFault, type ListenAddress, tlsFilesOf } from '../front/port.ts';
import type { TlsFiles } from '../front/port-tls.ts';
import { bridgeKeyFileBytesMax } from '../limits.ts';

export const help = `Usage: npm run bridge -- --to URL --key-file FILE [options]

Serves etcd's clients here, by gRPC, HTTP and JSON, from the store of a service elsewhere. Whoever reaches the bridge uses
the store in the name of the access key, so it listens on loopback alone, or asks for certificates. A client that knows two bridges goes on by the
other one where one of them, or its service, cannot be reached.

  --to URL              the address of the service, such as https://quorate.example.workers.dev
  --key-file FILE       the access key of the tenant, in a file that its owner alone can read
  --listen HOST:PORT    where clients connect; port 0 takes any free one                    (127.0.0.1:2379)
  --ca FILE             the certificates (PEM) of those who signed the service's; without it, the usual authorities
  --tls-cert FILE       speak TLS to clients, with this certificate and those above it (PEM). What changes is read again
  --tls-key FILE        its key (PEM)
  --tls-client-ca FILE  take clients alone that have a certificate signed by one of these (PEM)
  --json                print one line of JSON when ready, for scripts: {"url", "to", "tenant"}
  --help                print this

Exit codes: 0 it was told to end, 1 it cannot listen, 2 the command line is wrong.
`;

export const options = {
  to: { type: 'string' },
  'key-file': { type: 'string' },
  listen: { type: 'string' },
  ca: { type: 'string' },
  'tls-cert': { type: 'string' },
  'tls-key': { type: 'string' },
  'tls-client-ca': { type: 'string' },
  json: { type: 'boolean' },
} as const;

export type Words = { readonly [Name in keyof typeof options]?: string | boolean };

export type BridgeOptions = {
  readonly to: URL;
  readonly key: string;
  readonly tenant: string;
  readonly listen: ListenAddress;
  /** PEM; null: the authorities that Node knows. */
  readonly ca: string | null;
  /** null: clients speak plain text. */
  readonly tls: TlsFiles | null;
  readonly json: boolean;
};

/** What is wrong with the command line, in words for the person who wrote it. */
export class WrongOption extends Error {
  override readonly name = 'WrongOption';
}

/** @throws WrongOption */
export function bridgeOptions(words: Words): BridgeOptions {
  const to = serviceUrl(textOf(words, 'to'));
  const { key, tenant } = keyIn(textOf(words, 'key-file'));
  const tls = tlsFilesOf({
    cert: textOf(words, 'tls-cert') ?? undefined,
    key: textOf(words, 'tls-key') ?? undefined,
    clientCa: textOf(words, 'tls-client-ca') ?? undefined,
  });
  if (typeof tls === 'string') throw new WrongOption(tls);
  const listen = listenAddress(textOf(words, 'listen') ?? '127.0.0.1:2379', tls);
  const ca = textOf(words, 'ca');
  if (ca !== null && to.protocol === 'http:') throw new WrongOption('--ca is for a service at https://');
  return { to, key, tenant, listen, tls, ca: ca === null ? null : certificatesIn(ca), json: words.json === true };
}

function textOf(words: Words, name: keyof Words): string | null {
  const value = words[name];
  return typeof value === 'string' ? value : null;
}

function serviceUrl(text: string | null): URL {
  if (text === null) throw new WrongOption('--to is missing: the address of the service');
  if (!URL.canParse(text)) throw new WrongOption(`--to is no URL: "${text}"`);
  const url = new URL(text);
  const { protocol, pathname, search, hash, username, password } = url;
  // The text is not repeated: what stands there may be a key.
  if (username !== '' || password !== '') throw new WrongOption('--to has a user or a key in it: use --key-file');
  if ((protocol === 'http:' || protocol === 'https:') && pathname === '/' && search === '' && hash === '') return url;
  throw new WrongOption(`--to must be the address of a service, such as https://quorate.example.dev, not "${text}"`);
}

function listenAddress(text: string, tls: TlsFiles | null): ListenAddress {
  const [, bracketed, plain, digits = ''] = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain ?? '';
  const port = Number(digits);
  if (host === '' || digits === '' || port > 65_535) {
    throw new WrongOption(`--listen must be HOST:PORT, such as 127.0.0.1:2379, not "${text}"`);
  }
  const fault = boundPortFault(host, tls?.clientCa !== undefined && tls.clientCa !== null);
  if (fault === null) return { host, port };
  throw new WrongOption(`--listen cannot be "${host}": ${fault}`);
}

const ofOthers = 0o077;

/** The file is opened once, so that what is looked at is what is read. */
function keyIn(path: string | null): { readonly key: string; readonly tenant: string } {
  if (path === null) throw new WrongOption('--key-file is missing: a file with the access key');
  const text = reading(path, '--key-file', (file) => {
    const found = fstatSync(file);
    if (found.isDirectory()) throw new WrongOption(`--key-file "${path}" is a folder`);
    // A pipe has no size, and is read by whoever has it.
    if (found.isFile() && (found.mode & ofOthers) !== 0) {
      throw new WrongOption(`--key-file "${path}" can be read by others than its owner: chmod 600 ${path}`);
    }
    if (found.size > bridgeKeyFileBytesMax) throw new WrongOption(`--key-file "${path}" is too long for a key`);
  });
  const key = text.trim();
  const tenant = /^qrt_[a-z0-9]+_[a-z0-9]+_[a-z0-9]+$/.test(key) ? tenantNamedBy({ kind: 'alone', text: key }) : null;
  if (tenant !== null) return { key, tenant };
  const found = key === '' ? 'is empty' : 'has something else';
  throw new WrongOption(`--key-file "${path}" ${found}: it must have one access key, qrt_…, and nothing more`);
}

function certificatesIn(path: string): string {
  const text = reading(path, '--ca', () => undefined);
  if (!text.includes('-----BEGIN CERTIFICATE-----')) throw new WrongOption(`--ca "${path}" has no certificate (PEM)`);
  return text;
}

function reading(path: string, option: string, look: (file: number) => void): string {
  let file: number | null = null;
  try {
    file = openSync(path, 'r');
    look(file);
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof WrongOption) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new WrongOption(`${option} "${path}" cannot be read: ${code}`);
  } finally {
    if (file !== null) closeSync(file);
  }
}

// The command line of `npm start`: its options, its help, and the sentence for each option that is wrong.

import { parseArgs } from 'node:util';
import { boundPortFault, tlsFilesOf } from '../front/port.ts';
import type { TlsFiles } from '../front/port-tls.ts';
import { errorMessage, ServerFailure } from './failure.ts';

export type ServeOptions = {
  readonly dataFolder: string;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly json: boolean;
  /** The runtime itself has the port, as on Cloudflare: no process in front. */
  readonly direct: boolean;
  /** Null: no fault port, and no code for faults in the Worker. */
  readonly faultPort: number | null;
  readonly inspectorPort: number | null;
  readonly etcd: readonly EtcdListenerOptions[];
  /** null: plain text. */
  readonly tls: TlsFiles | null;
};

/** A port where etcd's clients speak in the name of one tenant. */
export type EtcdListenerOptions = {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Null: the first tenant. */
  readonly tenant: string | null;
};

export type Request =
  | { readonly kind: 'serve'; readonly options: ServeOptions }
  | { readonly kind: 'help' }
  | { readonly kind: 'version' };

export const helpText = `Usage: npm start -- [options]

Serves Quorate from this machine: every tenant's store is a Raft group of three replicas in one process.

  --data DIR          the folder that keeps everything: stores, secrets, the first tenant  (.quorate)
  --port N            the port of the HTTP API; 0 takes any free one                       (8787)
  --host ADDRESS      the address to listen on                                             (127.0.0.1)
  --etcd N[=NAME]     a port for etcd's clients, by gRPC: whoever reaches it uses the store of the tenant NAME, or of the
                      first tenant, so it listens on loopback alone, or asks for certificates. 0 takes any free port. It may be
                      given again, also as HOST:N[=NAME]
  --tls-cert FILE     speak TLS on all ports, with this certificate and those above it (PEM). What changes is read again
  --tls-key FILE      its key (PEM)
  --tls-client-ca FILE  on the ports of --etcd, take clients alone that have a certificate signed by one of these (PEM)
  --json              print one line of JSON when ready, for scripts:
                      {"url", "operator_token", "tenant": {"id", "name", "key"}, "etcd": [{"url", "tenant"}]}
  --direct            for tests: the Worker's runtime listens itself, without the process in front of it that bounds slow
                      and silent clients, as on Cloudflare
  --fault-port N      for tests: do faults to the replicas of a tenant, by POST of JSON to 127.0.0.1:N. 0 takes any free port;
                      its URL is "fault_url" with --json. Every body names {"tenant": "<id>", "replica": 1, "leader" or
                      "all"}; "leader" and "all" need a key of that tenant in the header Quorate-Key.
                        /abort   the replica crashes: what was not yet durable is lost
                        /wipe    the replica crashes and its storage is empty, as if its disk was lost
                        /peers   {"fail": 0 to 1, "delay_ms": N, "direction": "in", "out" or "both"}: calls from its peers
                                 ("in"), or to them ("out"), are late by N ms, and lost with that chance, there and back
                        /slow    {"delay_ms": N}: the replica hangs: it takes every call only after N ms
                      What /peers and /slow set is kept in memory: 0 ends it, and so does a crash, a restart, or the sleep of
                      an idle replica. GET /faults lists it. The Worker that is deployed has no fault port.
  --inspector-port N  for tests: serve the inspector of the Worker (DevTools protocol) on 127.0.0.1:N
  --help              print this
  --version           print the version

Environment:
  QUORATE_OPERATOR_TOKEN  the token that opens the operator's calls, for this run; without it, the one in the data folder
`;

/** @throws ServerFailure with exit code 2, naming the option that is wrong. */
export function parseArguments(words: readonly string[]): Request {
  const values = parseWords(words);
  if (values.help === true) return { kind: 'help' };
  if (values.version === true) return { kind: 'version' };
  const tls = tlsFilesOf({ cert: values['tls-cert'], key: values['tls-key'], clientCa: values['tls-client-ca'] });
  if (typeof tls === 'string') throw usage(tls);
  const etcd = (values.etcd ?? []).map((text) =>
    etcdListener(text, tls?.clientCa !== undefined && tls.clientCa !== null),
  );
  if (values.direct === true && etcd.length > 0) {
    throw usage('--etcd is served by the process in front, which --direct leaves out');
  }
  if (values.direct === true && tls !== null) {
    throw usage('TLS is spoken by the process in front, which --direct leaves out');
  }
  return {
    kind: 'serve',
    options: {
      dataFolder: present('--data', values.data ?? '.quorate'),
      host: present('--host', values.host ?? '127.0.0.1'),
      port: portNumber('--port', values.port ?? '8787'),
      json: values.json ?? false,
      direct: values.direct ?? false,
      faultPort: optionalPort('--fault-port', values['fault-port']),
      inspectorPort: optionalPort('--inspector-port', values['inspector-port']),
      etcd,
      tls,
    },
  };
}

function parseWords(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      strict: true,
      allowPositionals: false,
      options: {
        data: { type: 'string' },
        port: { type: 'string' },
        host: { type: 'string' },
        json: { type: 'boolean' },
        direct: { type: 'boolean' },
        etcd: { type: 'string', multiple: true },
        'tls-cert': { type: 'string' },
        'tls-key': { type: 'string' },
        'tls-client-ca': { type: 'string' },
        'fault-port': { type: 'string' },
        'inspector-port': { type: 'string' },
        help: { type: 'boolean' },
        version: { type: 'boolean' },
      },
    }).values;
  } catch (error) {
    // Node's text may go on with advice on positional arguments. Its first sentence says what is wrong.
    const [first] = errorMessage(error).split(/\n|\. /);
    throw usage(first ?? 'the command line could not be read');
  }
}

const etcdForm = /^(?:(?<host>[^=]*):)?(?<port>[^=:]*)(?:=(?<tenant>.*))?$/s;

function etcdListener(text: string, asks: boolean): EtcdListenerOptions {
  const { host = '127.0.0.1', port = '', tenant } = etcdForm.exec(text)?.groups ?? {};
  const bare = host.replace(/^\[|\]$/g, '');
  const fault = boundPortFault(bare, asks);
  if (bare === '' || fault !== null) throw usage(`--etcd cannot listen on "${host}": ${fault ?? 'it is no address'}`);
  if (tenant === '') throw usage('--etcd names no tenant behind "="');
  return { host: bare, port: portNumber('--etcd', port), tenant: tenant ?? null };
}

function present(option: string, text: string): string {
  if (text === '') throw usage(`${option} is empty`);
  return text;
}

function optionalPort(option: string, text: string | undefined): number | null {
  return text === undefined ? null : portNumber(option, text);
}

function portNumber(option: string, text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65_535)) throw usage(`${option} must be a number from 0 to 65535, not "${text}"`);
  return port;
}

function usage(message: string): ServerFailure {
  return new ServerFailure(`${message} (--help lists the options)`, 2);
}

// TLS on a port (`--tls-cert`, `--tls-key`, `--tls-client-ca`). The files are read again when they change, so that a
// certificate that is renewed needs no restart: connections that are there go on.

import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import type { Socket } from 'node:net';
import { createSecureContext, createServer, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls';
import { frontHeadReadMs, tlsFilesLookMs } from '../limits.ts';

/** Paths of PEM files. `clientCa`: of those who sign the certificates of clients; null: clients need none. */
export type TlsFiles = { readonly cert: string; readonly key: string; readonly clientCa: string | null };

type Handshake = { readonly socket: Socket; readonly secured: (secure: TLSSocket) => void };

/** It is of one port, where no two connections at once are of the same client. */
export class PortTls {
  readonly #files: TlsFiles;
  readonly #say: (line: string) => void;
  readonly #server: Server;
  readonly #handshakes = new Map<string, Handshake>();

  /** `say` is told what becomes of files that change. @throws Error that names what is wrong with the files. */
  constructor(files: TlsFiles, say: (line: string) => void) {
    this.#files = files;
    this.#say = say;
    this.#server = createServer({
      ...contextOf(files),
      requestCert: files.clientCa !== null,
      rejectUnauthorized: true,
      ALPNProtocols: ['h2', 'http/1.1'],
      handshakeTimeout: frontHeadReadMs,
      allowHalfOpen: true,
    });
    // A handshake that fails ends its connection, by an alert that says why.
    this.#server.on('tlsClientError', (_, socket) => socket.destroy());
    this.#server.on('secureConnection', (secure) => {
      const found = this.#handshakes.get(clientOf(secure));
      this.#handshakes.delete(clientOf(secure));
      if (found === undefined) secure.destroy();
      else found.secured(secure);
    });
    for (const path of this.#paths) watchFile(path, { interval: tlsFilesLookMs, persistent: false }, this.#changed);
  }

  /** Whoever has no certificate of those that are taken reaches nothing. */
  get asksForCertificate(): boolean {
    return this.#files.clientCa !== null;
  }

  /** The connection is paused, with what was read put back. `secured` is called once, unless the connection ends. */
  serve(socket: Socket, secured: (secure: TLSSocket) => void): void {
    const client = clientOf(socket);
    const handshake = { socket, secured };
    this.#handshakes.set(client, handshake);
    socket.once('close', () => {
      if (this.#handshakes.get(client) === handshake) this.#handshakes.delete(client);
    });
    this.#server.emit('connection', socket);
  }

  close(): void {
    for (const path of this.#paths) unwatchFile(path, this.#changed);
  }

  get #paths(): readonly string[] {
    const { cert, key, clientCa } = this.#files;
    return clientCa === null ? [cert, key] : [cert, key, clientCa];
  }

  /** One of the files may be there before the other: until they fit each other, the former ones are used. */
  readonly #changed = (): void => {
    try {
      this.#server.setSecureContext(contextOf(this.#files));
      this.#say('the certificate was read again');
    } catch (error) {
      this.#say(`the former certificate is still used: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
}

function clientOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** @throws Error */
function contextOf({ cert, key, clientCa }: TlsFiles): SecureContextOptions {
  const options = {
    cert: pemIn('--tls-cert', cert),
    key: pemIn('--tls-key', key),
    ...(clientCa === null ? {} : { ca: pemIn('--tls-client-ca', clientCa) }),
  };
  try {
    createSecureContext(options);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`--tls-cert "${cert}" and --tls-key "${key}" cannot be used: ${reason}`, { cause: error });
  }
  return options;
}

function pemIn(option: string, path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new Error(`${option} "${path}" cannot be read: ${code}`, { cause: error });
  }
  if (!text.includes('-----BEGIN ')) throw new Error(`${option} "${path}" is no PEM file`);
  return text;
}

// Certificates for tests, made by openssl: an authority, and what it signs.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type Certificate = { readonly cert: string; readonly key: string };

export class Authority {
  readonly folder = mkdtempSync(join(tmpdir(), 'quorate-certificates-'));
  /** The path of the authority's own certificate. */
  readonly ca: string;

  constructor() {
    this.ca = this.#path('ca.pem');
    this.#openssl('req', '-x509', '-subj', '/CN=authority', '-days', '2', ...this.#newKey('ca'), '-out', this.ca);
  }

  /** For 127.0.0.1, localhost, and whoever has the name. Paths of PEM files. */
  sign(name: string, file = name): Certificate {
    const [cert, request, extensions] = ['pem', 'csr', 'ext'].map((end) => this.#path(`${file}.${end}`));
    if (cert === undefined || request === undefined || extensions === undefined) throw new Error('there are three');
    writeFileSync(extensions, 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
    this.#openssl('req', '-subj', `/CN=${name}`, ...this.#newKey(file), '-out', request);
    const by = ['-CA', this.ca, '-CAkey', this.#path('ca.key'), '-CAcreateserial', '-extfile', extensions];
    this.#openssl('x509', '-req', '-days', '2', '-in', request, ...by, '-out', cert);
    return { cert, key: this.#path(`${file}.key`) };
  }

  dispose(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #newKey(name: string): readonly string[] {
    return [
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-keyout',
      this.#path(`${name}.key`),
    ];
  }

  #path(name: string): string {
    return join(this.folder, name);
  }

  #openssl(...words: readonly string[]): void {
    execFileSync('openssl', words, { stdio: ['ignore', 'ignore', 'pipe'] });
  }
}

// The command line of the bridge.

import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bridgeOptions, help, options, type Words } from '../../src/bridge/options.ts';
import { bridgeKeyFileBytesMax } from '../../src/limits.ts';

const folder = mkdtempSync(join(tmpdir(), 'quorate-bridge-'));
const key = 'qrt_tenantofmine_keyofmine_abcdefghijklmnop';

function file(name: string, text: string, mode = 0o600): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

let keyFile = '';

beforeAll(() => {
  keyFile = file('key', `${key}\n`);
});

afterAll(() => rmSync(folder, { recursive: true }));

const withFile = (path: string) => () => read({ 'key-file': path });
const read = (words: Words) => bridgeOptions({ to: 'https://service.test', 'key-file': keyFile, ...words });

describe('the command line of the bridge', () => {
  it('BRIDGE-1: every option is read', () => {
    const pem = '-----BEGIN CERTIFICATE-----\n';
    expect(read({})).toEqual({
      to: new URL('https://service.test'),
      key,
      tenant: 'tenantofmine',
      listen: { host: '127.0.0.1', port: 2379 },
      ca: null,
      tls: null,
      json: false,
    });
    expect(read({ listen: '[::1]:0', ca: file('ca', pem), json: true })).toMatchObject({
      listen: { host: '::1', port: 0 },
      ca: pem,
      json: true,
    });
    const tls = { 'tls-cert': 'c', 'tls-key': 'k', 'tls-client-ca': 'a' };
    expect(read({ ...tls, listen: '0.0.0.0:2379' })).toMatchObject({
      listen: { host: '0.0.0.0', port: 2379 },
      tls: { cert: 'c', key: 'k', clientCa: 'a' },
    });
    expect(read({ to: 'http://10.0.0.1:8787' }).to.host).toBe('10.0.0.1:8787');
  });

  it('BRIDGE-1: the help names every option', () => {
    for (const name of Object.keys(options)) expect(help).toContain(`--${name} `);
  });

  it.each([
    [{ to: undefined }, '--to is missing'],
    [{ to: 'service.test' }, '--to is no URL'],
    [{ to: 'ftp://service.test' }, '--to must be the address of a service'],
    [{ to: 'https://service.test/v3' }, '--to must be the address of a service'],
    [{ to: `https://${key}@service.test` }, '--to has a user or a key in it'],
    [{ 'key-file': undefined }, '--key-file is missing'],
    [{ listen: '2379' }, '--listen must be HOST:PORT'],
    [{ listen: '127.0.0.1:65536' }, '--listen must be HOST:PORT'],
    [{ listen: ':2379' }, '--listen must be HOST:PORT'],
    [{ listen: '0.0.0.0:2379' }, 'it listens on loopback alone'],
    [{ listen: '192.0.2.1:2379' }, 'it listens on loopback alone'],
    [{ to: 'http://service.test', ca: '/dev/null' }, '--ca is for a service at https://'],
    [{ ca: '/dev/null' }, 'has no certificate'],
    [{ 'tls-cert': 'c' }, '--tls-cert needs --tls-key'],
    [{ 'tls-key': 'k' }, '--tls-key needs --tls-cert'],
    [{ 'tls-client-ca': 'a' }, '--tls-client-ca needs --tls-cert and --tls-key'],
    [{ listen: '0.0.0.0:1', 'tls-cert': 'c', 'tls-key': 'k' }, 'or asks for certificates'],
  ])('BRIDGE-1: %j is refused: %s', (words, reason) => {
    const all = Object.fromEntries(
      Object.entries({ to: 'https://service.test', 'key-file': keyFile, ...words }).filter(
        ([, value]) => value !== undefined,
      ),
    );
    expect(() => bridgeOptions(all)).toThrow(reason);
    // No key is ever in an error.
    expect(() => bridgeOptions(all)).not.toThrow(key);
  });

  it('BRIDGE-2: the file of the key is for its owner alone, and has one key', () => {
    for (const mode of [0o640, 0o604, 0o620]) {
      expect(withFile(file('open', key, mode))).toThrow(/can be read by others .*chmod 600/);
    }
    expect(withFile(file('short', ''))).toThrow('is empty');
    expect(withFile(file('other', 'secret'))).toThrow('has something else: it must have one access key');
    expect(withFile(file('two', `${key}\n${key}\n`))).toThrow('has something else');
    expect(withFile(file('long', `${key}${' '.repeat(bridgeKeyFileBytesMax)}`))).toThrow('is too long');
    expect(withFile(file('longest', key.padEnd(bridgeKeyFileBytesMax)))()).toMatchObject({ key });
    expect(withFile(join(folder, 'none'))).toThrow('cannot be read: ENOENT');
    mkdirSync(join(folder, 'folder'));
    expect(withFile(join(folder, 'folder'))).toThrow('is a folder');
  });
});

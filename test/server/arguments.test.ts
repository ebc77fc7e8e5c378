import { describe, expect, it } from 'vitest';
import { helpText, parseArguments } from '../../src/server/arguments.ts';
import { ServerFailure } from '../../src/server/failure.ts';

const defaults = {
  dataFolder: '.quorate',
  host: '127.0.0.1',
  port: 8787,
  json: false,
  direct: false,
  faultPort: null,
  inspectorPort: null,
  etcd: [],
  tls: null,
};

describe('the command line', () => {
  it('SERVER-ARGUMENTS-1: without options it serves on loopback, port 8787, with data in .quorate', () => {
    expect(parseArguments([])).toEqual({ kind: 'serve', options: defaults });
  });

  it('SERVER-ARGUMENTS-1: every option is read', () => {
    const words = '--data d --host ::1 --port 0 --json --direct --fault-port 1 --inspector-port 65535'.split(' ');
    expect(parseArguments(words)).toEqual({
      kind: 'serve',
      options: {
        dataFolder: 'd',
        host: '::1',
        port: 0,
        json: true,
        direct: true,
        faultPort: 1,
        inspectorPort: 65_535,
        etcd: [],
        tls: null,
      },
    });
    const files = ['--tls-cert', 'c', '--tls-key', 'k', '--tls-client-ca', 'a'];
    expect(parseArguments(['--etcd', '0.0.0.0:2379', ...files])).toMatchObject({
      options: {
        etcd: [{ host: '0.0.0.0', port: 2379, tenant: null }],
        tls: { cert: 'c', key: 'k', clientCa: 'a' },
      },
    });
    expect(parseArguments(['--etcd', '2379', '--etcd', '[::1]:0=prod'])).toEqual({
      kind: 'serve',
      options: {
        ...defaults,
        etcd: [
          { host: '127.0.0.1', port: 2379, tenant: null },
          { host: '::1', port: 0, tenant: 'prod' },
        ],
      },
    });
    expect(parseArguments(['--help'])).toEqual({ kind: 'help' });
    expect(parseArguments(['--version'])).toEqual({ kind: 'version' });
  });

  it('SERVER-ARGUMENTS-2: the help names every option', () => {
    for (const name of [
      'data',
      'port',
      'host',
      'json',
      'direct',
      'fault-port',
      'inspector-port',
      'etcd',
      'help',
      'version',
    ]) {
      expect(helpText).toContain(`--${name} `);
    }
  });

  it.each([
    [['--port', '65536'], '--port'],
    [['--port', '-1'], '--port'],
    [['--port', '80a'], '80a'],
    [['--port', ''], '--port'],
    [['--port'], '--port'],
    [['--fault-port', 'x'], '--fault-port'],
    [['--inspector-port', '1e3'], '--inspector-port'],
    [['--data', ''], '--data'],
    [['--host', ''], '--host'],
    [['--json=yes'], '--json'],
    [['--etcd', '0.0.0.0:2379'], 'loopback alone'],
    [['--etcd', '0.0.0.0:1', '--tls-cert', 'c', '--tls-key', 'k'], 'or asks for certificates'],
    [['--etcd', ':1'], '--etcd cannot listen on ""'],
    [['--tls-cert', 'c'], '--tls-cert needs --tls-key'],
    [['--tls-key', 'k'], '--tls-key needs --tls-cert'],
    [['--tls-client-ca', 'a'], '--tls-client-ca needs'],
    [['--tls-cert', 'c', '--tls-key', 'k', '--direct'], '--direct'],
    [['--etcd', 'x'], '--etcd'],
    [['--etcd', '1='], '--etcd names no tenant'],
    [['--etcd', '1', '--direct'], '--direct'],
    [['--unknown'], '--unknown'],
    [['word'], 'word'],
  ])('SERVER-ARGUMENTS-3: %j is refused in one line that names the fault', (words, named) => {
    const failure = failureOf(words);
    expect(failure.exitCode).toBe(2);
    expect(failure.message).toContain(named);
    expect(failure.message).not.toContain('\n');
  });
});

function failureOf(words: readonly string[]): ServerFailure {
  try {
    parseArguments(words);
  } catch (error) {
    if (error instanceof ServerFailure) return error;
    throw error;
  }
  throw new Error('it was taken');
}

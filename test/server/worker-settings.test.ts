import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { unstable_readConfig as readConfig } from 'wrangler';
import { splitStatements } from '../../src/server/sql-statements.ts';
import { readWorkerSettings } from '../../src/server/worker-settings.ts';

const file = fileURLToPath(import.meta.resolve('../../wrangler.toml'));

describe('what the local runtime takes from elsewhere', () => {
  it('SERVER-SETTINGS-1: date, flags and bindings are those that Wrangler reads', () => {
    const settings = readWorkerSettings(file);
    expect(readConfig({ config: file })).toMatchObject({
      compatibility_date: settings.compatibilityDate,
      compatibility_flags: settings.compatibilityFlags,
      d1_databases: [{ binding: 'DIRECTORY' }],
      durable_objects: { bindings: [{ name: 'REPLICA', class_name: 'Replica' }] },
    });
  });

  it('SERVER-SETTINGS-2: the service for staging differs from the other in its name and its directory alone', () => {
    const production = readConfig({ config: file });
    const staging = readConfig({ config: file, env: 'staging' });
    const same = [
      'main',
      'compatibility_date',
      'compatibility_flags',
      'migrations',
      'observability',
      'limits',
      'triggers',
    ] as const;
    for (const setting of same) expect([setting, staging[setting]]).toEqual([setting, production[setting]]);
    expect(staging.durable_objects).toEqual(production.durable_objects);
    const [directory] = staging.d1_databases;
    expect(staging.name).not.toBe(production.name);
    expect(directory?.database_name).not.toBe(production.d1_databases[0]?.database_name);
    expect(directory).toMatchObject({ binding: 'DIRECTORY', migrations_dir: 'migrations' });
  });

  it.each([
    ['', []],
    [' ;; ; ', []],
    ['a; b', ['a', 'b']],
    ["insert ';' ; -- c; d\nb", ["insert ';'", 'b']],
    ["a 'it''s; ' /* ; */ b; \"c;\" [d;] `e;`", ["a 'it''s; '   b", '"c;" [d;] `e;`']],
  ])('SERVER-MIGRATIONS-1: %j is split into its statements', (text, statements) => {
    expect(splitStatements(text)).toEqual(statements);
  });
});

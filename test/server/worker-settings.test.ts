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

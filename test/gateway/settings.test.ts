// What the service says if it was not set up: it names what is missing and what to do.

import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createApp } from '../../src/gateway/app.ts';
import type { Env } from '../../src/gateway/env.ts';
import { secretFault } from '../../src/gateway/settings.ts';
import { secretCharactersMin, secretDifferentCharactersMin } from '../../src/limits.ts';
import { newestMigration } from '../../src/tenants/directory.ts';
import { KeyRing } from '../../src/tenants/key-text.ts';
import { Signatures } from '../../src/tenants/signatures.ts';

const token = 'operator-token-of-the-tests';
const secret = 'service-secret-of-the-tests';
const key = new KeyRing(new Signatures(secret)).issue({ tenant: 'a', keyId: 'b' });

type Settings = { readonly OPERATOR_TOKEN?: string; readonly SERVICE_SECRET?: string; readonly DIRECTORY?: object };
type Answer = { readonly status: number; readonly text: string };

/** A directory whose tables were never made, with the error that D1 gives. */
const noTable = () => Promise.reject(new Error('D1_ERROR: no such table: tenants: SQLITE_ERROR'));
const directory = directoryThat(noTable);

function directoryThat(answers: () => Promise<unknown>): object {
  const statement = { bind: () => statement, all: answers, first: answers };
  return { withSession: () => ({ prepare: () => statement }) };
}

async function ask(settings: Settings, path: string, bearer: string): Promise<Answer> {
  const app = createApp({ DIRECTORY: directory, ...settings, REPLICA: null } as unknown as Env);
  const response = await app.request(path, { headers: { authorization: `Bearer ${bearer}` } });
  return { status: response.status, text: await response.text() };
}

describe('a service that was not set up', () => {
  it('API-ERR-10: names the settings that it lacks, and how to make them', async () => {
    for (const path of ['/v1/kv/a', '/v3/kv/range', '/v1/tenants', '/healthz']) {
      const { status, text } = await ask({}, path, key);
      expect([status, text], path).toEqual([503, expect.stringContaining('SERVICE_SECRET is not set')]);
      expect(text).toContain('OPERATOR_TOKEN is not set');
      if (path !== '/healthz') expect(text).toContain('wrangler secret put');
    }
    const tenants = await ask({ SERVICE_SECRET: secret }, '/v1/tenants', token);
    expect([tenants.status, tenants.text]).toEqual([503, expect.stringContaining('OPERATOR_TOKEN is not set')]);
    expect((await ask({ SERVICE_SECRET: secret }, '/healthz', key)).status).toBe(503);
    const isMigrated = directoryThat(() => Promise.resolve(1));
    const whole = { SERVICE_SECRET: secret, OPERATOR_TOKEN: token, DIRECTORY: isMigrated };
    expect(await ask(whole, '/healthz', key)).toEqual({ status: 200, text: 'ok\n' });
  });

  it('API-ERR-10: says which tables the directory lacks, and is well where the directory is away', async () => {
    const settings = { SERVICE_SECRET: secret, OPERATOR_TOKEN: token };
    for (const lacking of [directory, directoryThat(() => Promise.resolve(null))]) {
      const { status, text } = await ask({ ...settings, DIRECTORY: lacking }, '/healthz', key);
      expect([status, text]).toEqual([503, expect.stringContaining('wrangler d1 migrations apply')]);
    }
    const away = directoryThat(() => Promise.reject(new Error('D1_ERROR: internal error')));
    const { status, text } = await ask({ ...settings, DIRECTORY: away }, '/healthz', key);
    expect([status, text]).toEqual([200, expect.stringMatching(/^ok\n.*does not answer/)]);
    expect(newestMigration).toBe(readdirSync('migrations').sort().at(-1));
  });

  it('API-ERR-10: takes no secret that can be guessed, also where it is the right one', async () => {
    const operator = await ask({ SERVICE_SECRET: secret, OPERATOR_TOKEN: 'x' }, '/v1/tenants', 'x');
    expect([operator.status, operator.text]).toEqual([503, expect.stringContaining('OPERATOR_TOKEN has 1 characters')]);
    const rotated = await ask({ SERVICE_SECRET: `${secret},y`, OPERATOR_TOKEN: token }, '/v1/kv/a', key);
    expect([rotated.status, rotated.text]).toEqual([503, expect.stringContaining('SERVICE_SECRET has 1 characters')]);
    const letters = 'abcdefghijklmnopqrstuvwxyz';
    expect(secretFault(letters.slice(0, secretCharactersMin))).toBeNull();
    expect(secretFault(letters.slice(0, secretCharactersMin - 1))).toContain(String(secretCharactersMin));
    expect(secretFault(letters.slice(0, secretDifferentCharactersMin).repeat(9))).toBeNull();
    expect(secretFault(letters.slice(0, secretDifferentCharactersMin - 1).repeat(9))).toContain('different');
  });

  it('API-ERR-10: says which migrations to apply where the directory has no tables', async () => {
    const { status, text } = await ask({ SERVICE_SECRET: secret, OPERATOR_TOKEN: token }, '/v1/tenants', token);
    expect([status, text]).toEqual([503, expect.stringContaining('wrangler d1 migrations apply')]);
  });

  it('API-ERR-8: tells the operator’s token and a key apart, whichever was sent for the other', async () => {
    const settings = { SERVICE_SECRET: secret, OPERATOR_TOKEN: token };
    expect((await ask(settings, '/v1/kv/a', token)).text).toContain("This is the operator's token");
    expect((await ask(settings, '/v1/tenants/a/keys', 'neither')).text).toContain('not an access key');
    expect((await ask(settings, '/v1/tenants', key)).text).toContain('This is an access key of a tenant');
    expect((await ask(settings, '/v1/tenants', 'neither')).text).toContain("This is not the operator's token");
  });
});

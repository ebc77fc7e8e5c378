import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { secretCharactersMin } from '../../src/limits.ts';
import { DataFolder } from '../../src/server/data-folder.ts';

let parent: string;
const opened = new Set<DataFolder>();

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'quorate-folder-'));
});

afterEach(() => {
  for (const folder of opened) close(folder);
  rmSync(parent, { recursive: true, force: true });
});

async function open(path: string): Promise<DataFolder> {
  const folder = await DataFolder.open(path);
  opened.add(folder);
  return folder;
}

function close(folder: DataFolder): void {
  opened.delete(folder);
  folder.close();
}

function mode(file: string): string {
  return (statSync(file).mode & 0o777).toString(8);
}

function randomLetters(count: number): string {
  return 'abcdefghijklmnopqrstuvwxyz'.repeat(2).slice(0, count);
}

describe('the data folder', () => {
  it('SERVER-FOLDER-1: secrets are made once, kept, and readable by their owner alone', async () => {
    const path = join(parent, 'deep', 'data');
    const first = await open(path);
    const made = first.secrets(undefined);
    close(first);
    const again = (await open(path)).secrets(undefined);
    expect(again).toEqual(made);
    expect(made.operatorToken.length).toBeGreaterThanOrEqual(43);
    expect(made.serviceSecret).not.toBe(made.operatorToken);
    expect(mode(path)).toBe('700');
    expect(mode(join(path, 'secrets.json'))).toBe('600');
  });

  it("SERVER-FOLDER-2: an operator's token that is given counts and is not kept", async () => {
    const folder = await open(join(parent, 'data'));
    const made = folder.secrets(undefined);
    const given = 'a-token-of-my-own-of-30-letters';
    expect(folder.secrets(given)).toEqual({ operatorToken: given, serviceSecret: made.serviceSecret });
    expect(folder.secrets(undefined)).toEqual(made);
    expect(readFileSync(join(folder.path, 'secrets.json'), 'utf8')).not.toContain(given);
  });

  it("SERVER-FOLDER-8: an operator's token that can be guessed is refused, with how to make one", async () => {
    const folder = await open(join(parent, 'data'));
    const long = randomLetters(secretCharactersMin);
    expect(folder.secrets(long).operatorToken).toBe(long);
    for (const weak of ['x', long.slice(1), 'ab'.repeat(20)]) {
      expect(() => folder.secrets(weak), weak).toThrow(/^QUORATE_OPERATOR_TOKEN has .* at least \d+.*openssl rand/);
    }
  });

  it('SERVER-FOLDER-9: a secret in the folder that can be guessed is refused, of several each one', async () => {
    const folder = await open(join(parent, 'edited'));
    const made = folder.secrets(undefined);
    const file = join(folder.path, 'secrets.json');
    const keep = (operatorToken: string, serviceSecret: string): void => {
      writeFileSync(file, JSON.stringify({ operator_token: operatorToken, service_secret: serviceSecret }));
    };
    const two = `${randomLetters(secretCharactersMin)},${made.serviceSecret}`;
    keep(made.operatorToken, two);
    expect(folder.secrets(undefined).serviceSecret).toBe(two);
    for (const weak of ['x', `${made.serviceSecret},x`, `${made.serviceSecret},`]) {
      keep(made.operatorToken, weak);
      expect(() => folder.secrets(undefined), weak).toThrow(/^service_secret in .*secrets.json has .*openssl rand/);
    }
    keep('x', made.serviceSecret);
    expect(() => folder.secrets(undefined)).toThrow(/^operator_token in .*secrets.json has/);
  });

  it('SERVER-FOLDER-3: the first tenant is kept, readable by its owner alone, whatever mode an unfinished file had', async () => {
    const folder = await open(join(parent, 'data'));
    expect(folder.firstTenant()).toBeNull();
    const file = join(folder.path, 'tenant.json');
    writeFileSync(`${file}.new`, '{');
    chmodSync(`${file}.new`, 0o644);
    folder.keepFirstTenant({ id: 'a', name: 'default', key: 'k' });
    expect(folder.firstTenant()).toEqual({ id: 'a', name: 'default', key: 'k' });
    expect(mode(file)).toBe('600');
  });

  it('SERVER-FOLDER-4: one server at a time; the next one may have it when it is closed', async () => {
    const path = join(parent, 'data');
    const first = await open(path);
    await expect(DataFolder.open(path)).rejects.toThrow(`in use by another server, process ${process.pid}:`);
    close(first);
    await open(path);
  });

  it('SERVER-FOLDER-5: a folder of a newer format is refused and left as it is', async () => {
    const path = join(parent, 'data');
    close(await open(path));
    writeFileSync(join(path, 'format.json'), '{"format":2}');
    await expect(DataFolder.open(path)).rejects.toThrow(/format 2, made by a newer version/);
    expect(readFileSync(join(path, 'format.json'), 'utf8')).toBe('{"format":2}');
  });

  it.each([
    ['format.json', '{'],
    ['format.json', '{}'],
    ['secrets.json', '[]'],
    ['secrets.json', '{"operator_token":"a","service_secret":7}'],
    ['tenant.json', ''],
    ['tenant.json', '{"id":"a","name":"default","key":""}'],
  ])('SERVER-FOLDER-6: a damaged %s (%s) is named, not replaced', async (name, content) => {
    const path = join(parent, 'data');
    const first = await open(path);
    first.secrets(undefined);
    close(first);
    writeFileSync(join(path, name), content);
    const use = async (): Promise<void> => {
      const folder = await open(path);
      folder.secrets(undefined);
      folder.firstTenant();
    };
    await expect(use()).rejects.toThrow(`${name} is damaged`);
    expect(readFileSync(join(path, name), 'utf8')).toBe(content);
  });

  it('SERVER-FOLDER-7: a folder that cannot be made is refused with the reason', async () => {
    writeFileSync(join(parent, 'file'), '');
    await expect(DataFolder.open(join(parent, 'file', 'data'))).rejects.toThrow(/cannot write to .*not a folder/);
    await expect(DataFolder.open('/proc/quorate/data')).rejects.toThrow(/cannot write to .*cannot be made/);
  });
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startQuorate, type QuorateProcess } from '../support/quorate-process.ts';

let server: QuorateProcess;

beforeAll(async () => {
  server = await startQuorate({});
});

afterAll(async () => {
  await server.dispose();
});

async function doctor(url: string, token: string) {
  const words = ['--disable-warning=ExperimentalWarning', 'src/cli/doctor-main.ts', '--url', url];
  const child = spawn(process.execPath, words, { env: { ...process.env, OPERATOR_TOKEN: token } });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (part: string) => (output += part));
  await once(child, 'close');
  return { code: child.exitCode, output };
}

describe('npm run doctor', () => {
  it('DOCTOR-4: finds that a server is well, and leaves no tenant behind', async () => {
    const { url, operatorToken } = server.ready;
    const { code, output } = await doctor(url, operatorToken);
    expect(output.match(/^\S+/gm)).toEqual(['ok', 'ok', 'ok', 'ok', 'ok', 'ok', 'ok']);
    expect(code).toBe(0);
    const listed = await fetch(`${url}/v1/tenants`, { headers: { Authorization: `Bearer ${operatorToken}` } });
    expect(await listed.text()).not.toContain('doctor-');
  });

  it.each([
    ['a wrong token', () => server.ready.url, 'not-the-token-of-this-service', /WRONG +directory .*\n.*OPERATOR_TOKEN/],
    [
      'an address where nobody listens',
      () => 'http://127.0.0.1:9',
      'any',
      /WRONG +settings .*does not answer.*\n.*address/,
    ],
  ])('DOCTOR-5: %s is told with what to do, and the program ends with 1', async (_, url, token, said) => {
    const { code, output } = await doctor(url(), token);
    expect(output).toMatch(said);
    expect(code).toBe(1);
  });

  it.each(['', 'service.test', 'https://service.test/v1', 'ftp://service.test'])(
    'DOCTOR-6: --url %j is refused before anything is asked',
    async (url) => {
      expect(await doctor(url, 'token')).toMatchObject({ code: 2, output: expect.stringContaining('--url must be') });
    },
  );
});

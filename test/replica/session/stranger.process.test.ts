// A client that knows nothing of this code but the page in SPEC.md.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { startQuorate } from '../../support/quorate-process.ts';

const script = fileURLToPath(import.meta.resolve('./stranger.py'));
const hasPython = spawnSync('python3', ['--version']).status === 0;

// A machine without Python cannot run the client.
it.skipIf(!hasPython)(
  'SESSION-SOCKET-8: a client in another language writes, reads, watches and locks on an uncompressed WebSocket',
  async () => {
    const server = await startQuorate();
    try {
      const { url, tenant } = server.ready;
      const { stdout, stderr } = spawnSync('python3', [script, url, tenant.key], { encoding: 'utf8', timeout: 20_000 });
      expect(stderr).toBe('');
      expect(stdout).toBe('was here\nput stranger was here\ndoor/4d\n0 left\n');
      const answer = await fetch(`${url}/v1/kv/stranger`, { headers: { Authorization: `Bearer ${tenant.key}` } });
      expect(await answer.text()).toBe('was here');
    } finally {
      await server.dispose();
    }
  },
  60_000,
);

import { cloudflareTest, readD1Migrations } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';
import { testProjects } from './test/projects.ts';

export default defineConfig({
  test: {
    projects: [
      { test: { name: 'node', ...testProjects.node, testTimeout: 120_000 } },
      {
        plugins: [
          cloudflareTest({
            wrangler: { configPath: './wrangler.toml' },
            miniflare: {
              bindings: {
                OPERATOR_TOKEN: 'operator-token-of-the-tests',
                SERVICE_SECRET: 'service-secret-of-the-tests',
                DIRECTORY_MIGRATIONS: await readD1Migrations('migrations'),
              },
            },
          }),
        ],
        test: { name: 'worker', ...testProjects.worker, testTimeout: 60_000 },
      },
    ],
  },
});

import { statSync } from 'node:fs';
import { cloudflareTest, readD1Migrations } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { startingOrder, testProjects } from './test/projects.ts';

class Sequencer extends BaseSequencer {
  override sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return Promise.resolve(
      startingOrder(files, ({ project, moduleId }) => ({
        project: project.name,
        path: moduleId,
        bytes: statSync(moduleId).size,
      })),
    );
  }
}

const setupFiles = ['./test/support/compare-bytes.ts'];

export default defineConfig({
  test: {
    // Most tests in workerd and of processes wait: four files at a time keep two cores busy.
    maxWorkers: 4,
    sequence: { sequencer: Sequencer },
    projects: [
      // Pure tests share the modules of their worker.
      { test: { name: 'node', ...testProjects.node, testTimeout: 120_000, setupFiles, isolate: false } },
      { test: { name: 'slow', ...testProjects.slow, testTimeout: 120_000, setupFiles } },
      { test: { name: 'sim', ...testProjects.sim, testTimeout: 120_000, setupFiles } },
      { test: { name: 'process', ...testProjects.process, testTimeout: 120_000, hookTimeout: 60_000, setupFiles } },
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
      { test: { name: 'long', ...testProjects.long, testTimeout: 120_000, setupFiles } },
    ],
  },
});

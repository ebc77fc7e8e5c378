import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    projects: [
      {
        // Pure code, on Node: fast, no platform.
        test: {
          name: 'node',
          include: ['test/{raft,mvcc,api,watch,sim,server,project,conformance}/**/*.test.ts'],
          testTimeout: 60_000,
        },
      },
    ],
  },
});

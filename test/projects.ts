// Which test file runs in which of vitest's projects, by pattern, so that a new folder needs no entry.
// test/project/rooms.test.ts holds that each file of tests is in exactly one project.

export interface TestFiles {
  readonly include: string[];
  readonly exclude: string[];
}

const inWorkerd = 'test/**/*.worker.test.ts';

export const testProjects = {
  /** Pure code, and programs started as a user starts them: on Node. */
  node: { include: ['test/**/*.test.ts'], exclude: [inWorkerd] },
  /** What only the platform can show: in workerd. */
  worker: { include: [inWorkerd], exclude: [] },
} satisfies Record<string, TestFiles>;

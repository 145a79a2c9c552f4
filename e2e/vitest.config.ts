import { defineConfig } from 'vitest/config';

// One cluster for the whole run: files go one after another, for some of them kill what others need.
export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ['*.e2e.ts'],
    globalSetup: ['lib/global-setup.ts'],
    testTimeout: 120_000,
    // As long as a busy machine may need: how fast things are is measured in bench/.
    expect: { poll: { timeout: 20_000 } },
    hookTimeout: 180_000,
    fileParallelism: false,
    pool: 'forks',
    maxWorkers: 1,
  },
});

import { defineConfig } from 'vitest/config';

// Tests run on the TypeScript sources (export condition `source`), so no build has to come first.
export default defineConfig({
  resolve: { conditions: ['source', 'node', 'import', 'default'] },
  ssr: { resolve: { conditions: ['source', 'node', 'import', 'default'] } },
  test: {
    include: ['libs/**/src/**/*.test.ts', 'services/**/src/**/*.test.ts', 'deploy/**/src/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**'],
    globalSetup: ['libs/testing/src/compile-cache.ts'],
    testTimeout: 30_000,
    // As long as a busy machine may need: how fast things are is measured in bench/.
    expect: { poll: { timeout: 20_000 } },
    hookTimeout: 60_000,
    pool: 'forks',
    // Most of them wait for processes most of the time.
    maxWorkers: 3,
  },
});

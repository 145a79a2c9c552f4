import { describe } from 'vitest';
import { useRuntime } from '../testing/test-host.ts';

/** Its tests, of which vitest waits for the import. */
function suite(name: string, load: () => Promise<unknown>): void {
  describe(`runc: ${name}`, async () => {
    await load();
  });
}

/** What holds for containers of the native runtime holds for those of another one: the same suites, with Debian's runc. */
useRuntime('runc');
suite('lifecycle', () => import('./lifecycle.test.ts'));
suite('recovery', () => import('./recovery.test.ts'));
suite('neighbours', () => import('./neighbours.test.ts'));
suite('commit', () => import('./commit.test.ts'));
suite('volumes', () => import('../volumes/volumes.test.ts'));
suite('streams', () => import('../api/grpc/streams.test.ts'));
suite('execs', () => import('../execs/exec-restart.test.ts'));

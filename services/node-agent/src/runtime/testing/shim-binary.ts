import { execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { dirname, join } from 'node:path';

const NATIVE = join(import.meta.dirname, '..', '..', '..', 'native');

/** The kinds of shim the tests can run: as it is shipped, or with AddressSanitizer and UBSan. */
const SHIMS = { plain: 'atoll-shim', asan: 'atoll-shim-asan' } as const;

/** Compiles the shim that `ATOLL_TEST_SHIM` names (plain when absent) when it is out of date and gives its path. */
export function buildShim(): string {
  const name = SHIMS[shimKind()];
  make(`build/${name}`);
  return join(NATIVE, 'build', name);
}

export function shimKind(): keyof typeof SHIMS {
  const kind = process.env['ATOLL_TEST_SHIM'] ?? 'plain';
  if (kind in SHIMS) return kind as keyof typeof SHIMS;
  throw new Error(`ATOLL_TEST_SHIM is "${kind}": it must be one of ${Object.keys(SHIMS).join(', ')}`);
}

/** The shim that is killed at the steps a file of its spawner names; see native/src/failpoint.h. */
export function buildFailpointShim(): string {
  make('build/atoll-shim-failpoints');
  return join(NATIVE, 'build', 'atoll-shim-failpoints');
}

/** The native runtime as an OCI command line. */
export function buildOci(): string {
  make('build/atoll-oci');
  return join(NATIVE, 'build', 'atoll-oci');
}

/** The init of `--init`, compiled with the shim. */
export function buildInit(): string {
  return join(dirname(buildShim()), 'atoll-init');
}

/** The static busybox that test roots are made of; fails with the command that installs it. */
export function busyboxPath(): string {
  for (const path of ['/bin/busybox', '/usr/bin/busybox']) {
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {}
  }
  throw new Error('these tests need a static busybox: apt-get install busybox-static');
}

export function requireRoot(): void {
  if (process.getuid?.() !== 0) {
    throw new Error('these tests make namespaces, mounts and cgroups: run them as root');
  }
}

/** The static program that makes single system calls inside test containers. */
export function buildProbe(): string {
  make('build/probe');
  return join(NATIVE, 'build', 'probe');
}

/** Test files run side by side: one of them builds, the others wait for it. */
function make(target: string): void {
  execFileSync('flock', [NATIVE, 'make', '--silent', '-C', NATIVE, target], { stdio: ['ignore', 'ignore', 'inherit'] });
}

import { readdir, readFile, stat } from 'node:fs/promises';
import { listCgroupHierarchies, runCommand } from '@atoll/hosts';
import { CHECKOUT, SHIM } from '../cluster/checkout.ts';

/** Every kernel object of this machine that carries our prefix, one line each: what a test run must not add to. */
export async function kernelObjects(): Promise<readonly string[]> {
  const found = await Promise.all([cgroups(), mounts(), links(), tables(), namespaces(), profiles(), processes()]);
  return found.flat().sort();
}

async function cgroups(): Promise<readonly string[]> {
  const found: string[] = [];
  for (const { mountPoint } of await listCgroupHierarchies()) {
    for (const name of await names(mountPoint)) {
      if (!name.startsWith('atoll')) continue;
      const below = await readdir(`${mountPoint}/${name}`, { recursive: true, withFileTypes: true }).catch(() => []);
      const groups = below.filter((entry) => entry.isDirectory()).map((entry) => `${entry.parentPath}/${entry.name}`);
      found.push(...[`${mountPoint}/${name}`, ...groups].map((path) => `cgroup ${path}`));
    }
  }
  return found;
}

async function mounts(): Promise<readonly string[]> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  return lines
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => /atoll/.test(path))
    .map((path) => `mount ${path}`);
}

async function links(): Promise<readonly string[]> {
  return (await names('/sys/class/net'))
    .filter((name) => /^at(l|oll|[nvwx][0-9a-f])/.test(name))
    .map((name) => `interface ${name}`);
}

async function tables(): Promise<readonly string[]> {
  const text = await runCommand('nft', ['list', 'tables']).catch(() => '');
  return text
    .split('\n')
    .filter((line) => line.includes('atoll'))
    .map((line) => `nft ${line}`);
}

async function namespaces(): Promise<readonly string[]> {
  return (await names('/run/netns')).filter((name) => name.startsWith('atoll')).map((name) => `netns ${name}`);
}

async function profiles(): Promise<readonly string[]> {
  const text = await readFile('/sys/kernel/security/apparmor/profiles', 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter((line) => line.startsWith('atoll'))
    .map((line) => `AppArmor profile ${line}`);
}

/** Shims and services of this checkout, by their executables, and WireGuard of agents; not whatever else mentions them. */
async function processes(): Promise<readonly string[]> {
  const programs = /\/(supervisor-main|services\/[a-z-]+\/dist\/main|\.tools\/bundles\/[a-z-]+)\.js$/;
  const shim = await stat(SHIM).catch(() => undefined);
  const found: string[] = [];
  for (const pid of (await names('/proc')).filter((name) => /^\d+$/.test(name))) {
    const argv = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
    // A shim runs from a mount of its own, so its path says nothing.
    const program = await stat(`/proc/${pid}/exe`).catch(() => undefined);
    const isShim = program !== undefined && program.ino === shim?.ino && program.dev === shim.dev;
    const isWireGuard = argv[0] === 'wireguard-go' && /^atw[0-9a-f]{8}$/.test(argv.at(-2) ?? '');
    const isService = argv.some((word) => word.startsWith(`${CHECKOUT}/`) && programs.test(word));
    const ours = isShim || isWireGuard || isService;
    if (ours) found.push(`process ${pid} ${argv.join(' ').trim()}`);
  }
  return found;
}

function names(folder: string): Promise<readonly string[]> {
  return readdir(folder).catch(() => []);
}

import { access, readFile, writeFile } from 'node:fs/promises';
import { release } from 'node:os';
import { cgroupMode, listCgroupHierarchies, runCommand } from '@atoll/hosts';
import { advice, atLeast, type Check, missing, ok } from './check.ts';

/** openat2 and open_tree with clone3 into a cgroup (5.7), mount_setattr (5.12). */
const KERNEL = '5.12';
const NAMESPACES = ['mnt', 'pid', 'net', 'uts', 'ipc', 'cgroup', 'user'];
const CONTROLLERS = ['cpu', 'memory', 'pids'];

export async function kernelChecks(): Promise<readonly Check[]> {
  return Promise.all([
    kernel(),
    namespaces(),
    cgroups(),
    overlay(),
    seccomp(),
    networkDevices(),
    netfilter(),
    encryption(),
    apparmor(),
    selinux(),
  ]);
}

async function kernel(): Promise<Check> {
  const version = release();
  if (atLeast(version, KERNEL)) return ok('kernel', version);
  return missing('kernel', version, `use Linux ${KERNEL} or newer`);
}

async function namespaces(): Promise<Check> {
  const absent: string[] = [];
  for (const name of NAMESPACES) if (!(await exists(`/proc/self/ns/${name}`))) absent.push(name);
  if (absent.length === 0) return ok('namespaces', NAMESPACES.join(' '));
  return missing('namespaces', `without ${absent.join(' ')}`, 'use a kernel with all CONFIG_*_NS options');
}

async function cgroups(): Promise<Check> {
  const hierarchies = await listCgroupHierarchies();
  const mode = cgroupMode(hierarchies);
  const two = hierarchies.find((hierarchy) => hierarchy.version === 2);
  const inTwo = two ? await readFile(`${two.mountPoint}/cgroup.controllers`, 'utf8').catch(() => '') : '';
  const found = new Set([...hierarchies.flatMap((hierarchy) => hierarchy.controllers), ...inTwo.trim().split(' ')]);
  const absent = CONTROLLERS.filter((name) => !found.has(name));
  if (mode !== 'none' && absent.length === 0) return ok('cgroups', `${mode}, with ${CONTROLLERS.join(' ')}`);
  const fix = mode === 'none' ? 'mount -t cgroup2 none /sys/fs/cgroup' : 'boot with the controllers enabled';
  return missing('cgroups', mode === 'none' ? 'not mounted' : `${mode}, without ${absent.join(' ')}`, fix);
}

async function overlay(): Promise<Check> {
  const known = await readFile('/proc/filesystems', 'utf8');
  if (/\boverlay$/m.test(known)) return ok('overlayfs', 'there');
  if (await runs('modprobe', '--dry-run', '--quiet', 'overlay')) return ok('overlayfs', 'loaded when it is first used');
  return missing('overlayfs', 'not known to the kernel', 'modprobe overlay');
}

async function seccomp(): Promise<Check> {
  const actions = await readFile('/proc/sys/kernel/seccomp/actions_avail', 'utf8').catch(() => '');
  if (actions.includes('errno')) return ok('seccomp', 'filters');
  return missing('seccomp', 'not in this kernel', 'use a kernel with CONFIG_SECCOMP_FILTER');
}

/** Tried in a network namespace that is gone afterwards. */
async function networkDevices(): Promise<Check> {
  const what = 'bridge and veth';
  if (process.getuid?.() !== 0) return advice(what, 'not tried', 'run it as root: sudo ./atoll doctor');
  const batch = 'link add atolltest0 type bridge\nlink add atolltest1 type veth peer name atolltest2\n';
  return attempt(
    what,
    () => runCommand('unshare', ['--net', 'ip', '-batch', '-'], { input: batch }),
    'modprobe bridge veth',
  );
}

async function netfilter(): Promise<Check> {
  const what = 'nftables';
  if (process.getuid?.() !== 0) return advice(what, 'not tried', 'run it as root: sudo ./atoll doctor');
  const rules = 'table ip atolltest {\nchain c {\ntype nat hook postrouting priority srcnat\nmasquerade\n}\n}\n';
  const run = () => runCommand('unshare', ['--net', 'nft', '-f', '-'], { input: rules });
  return attempt(what, run, 'apt-get install nftables; modprobe nf_tables nft_masq');
}

/** Needed for encrypted networks only. */
async function encryption(): Promise<Check> {
  const what = 'wireguard';
  if (process.getuid?.() !== 0) return advice(what, 'not tried', 'run it as root: sudo ./atoll doctor');
  const kernel = await runs('unshare', '--net', 'ip', 'link', 'add', 'name', 'atolltest0', 'type', 'wireguard');
  const missing = (await runs('wg', '--version')) ? [] : ['wireguard-tools'];
  if (!kernel && !(await runs('wireguard-go', '--version'))) missing.push('wireguard-go');
  if (missing.length === 0) return ok(what, kernel ? 'in the kernel' : 'by wireguard-go');
  return advice(what, 'not there: no encrypted networks', `apt-get install ${missing.join(' ')}`);
}

/** Containers run without it too. */
async function apparmor(): Promise<Check> {
  const what = 'apparmor';
  const enabled = await readFile('/sys/module/apparmor/parameters/enabled', 'utf8').catch(() => '');
  if (!enabled.startsWith('Y')) {
    return advice(
      what,
      'not in this kernel: containers run without',
      'boot with apparmor=1 security=apparmor, where the kernel has it',
    );
  }
  if (!(await exists('/sys/kernel/security/apparmor/profiles'))) {
    return advice(what, 'out of reach: containers run without', 'mount -t securityfs none /sys/kernel/security');
  }
  const parser = await runCommand('apparmor_parser', ['--version']).then(() => true, () => false); // biome-ignore format: short
  if (parser) return ok(what, 'profile atoll-default for containers');
  return advice(
    what,
    'no apparmor_parser: containers run without unless they name a profile',
    'apt-get install apparmor',
  );
}

/** Containers run without it too. */
async function selinux(): Promise<Check> {
  const what = 'selinux';
  if (!(await exists('/sys/fs/selinux/enforce'))) return ok(what, 'not in use: containers run without labels');
  const known = await writeFile('/sys/fs/selinux/context', 'system_u:system_r:container_t:s0:c0,c1023').then(() => true, () => false); // biome-ignore format: short
  if (known) return ok(what, 'labels of container_t for containers');
  return advice(
    what,
    'its policy does not know container_t: containers run without labels',
    'dnf install container-selinux',
  );
}

async function attempt(what: string, run: () => Promise<unknown>, fix: string): Promise<Check> {
  try {
    await run();
    return ok(what, 'work');
  } catch (error) {
    return missing(what, (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? '', fix);
  }
}

function runs(program: string, ...args: string[]): Promise<boolean> {
  return runCommand(program, args).then(() => true, () => false); // biome-ignore format: short
}

function exists(path: string): Promise<boolean> {
  return access(path).then(() => true, () => false); // biome-ignore format: short
}

import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { CHECKOUT, findProgram, natsServer, SHIM } from '../cluster/checkout.ts';
import { serverVersion, syncsEachWrite } from '../supervisor/nats-durability.ts';
import { advice, atLeast, type Check, missing, ok } from './check.ts';

const NEEDED = [
  ['ip', 'iproute2'],
  ['nft', 'nftables'],
  ['nsenter', 'util-linux'],
  ['unshare', 'util-linux'],
  ['hostname', 'hostname'],
] as const;

const USEFUL = [
  ['docker', 'the stock client to use the cluster with', 'put any docker CLI on the PATH'],
  ['busybox', 'the demo makes its base image of it', 'apt-get install busybox-static'],
  ['redis-server', 'the tests of the cache use it', 'apt-get install redis-server'],
] as const;

export async function programChecks(): Promise<readonly Check[]> {
  const needed = NEEDED.map(([name, pack]) => {
    const path = findProgram(name);
    return path ? ok(name, path) : missing(name, 'not installed', `apt-get install ${pack}`);
  });
  const useful = USEFUL.map(([name, why, fix]) => {
    const tools = join(CHECKOUT, '.tools', name, 'usr/bin', name);
    const path = findProgram(name) ?? findProgram(tools);
    return path ? ok(name, path) : advice(name, `not installed: ${why}`, fix);
  });
  return [node(), await nats(), await shim(), ...needed, ...useful];
}

function node(): Check {
  const version = process.versions.node;
  if (atLeast(version, '24')) return ok('node', version);
  return missing('node', version, 'start ./atoll instead of node: it gets Node 24');
}

async function nats(): Promise<Check> {
  try {
    const version = await serverVersion(natsServer());
    if (syncsEachWrite(version)) return ok('nats-server', `${version}, syncs each write`);
    return advice('nats-server', `${version}: needs folder flags (chattr +S +D) to be durable`, 'use 2.10 or newer');
  } catch (error) {
    return missing('nats-server', error instanceof Error ? error.message : String(error), './atoll status fetches it');
  }
}

async function shim(): Promise<Check> {
  return access(SHIM).then(
    () => ok('container shim', 'compiled'),
    () =>
      missing(
        'container shim',
        'not compiled',
        'apt-get install gcc libc6-dev make && make -C services/node-agent/native',
      ),
  );
}

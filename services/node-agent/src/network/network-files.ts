import { constants } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import type { containerV1 } from '@atoll/proto';
import { unlessMissing } from '../files/missing.ts';
import type { BundleFile } from '../runtime/launch-shim.ts';

export interface NetworkFiles {
  readonly hosts: string;
  readonly hostname: string;
  readonly resolvConf: string;
}

export interface NetworkIdentity {
  readonly hostname: string;
  readonly domainname?: string;
  /** Empty without an own address (none, host). */
  readonly address: string;
  readonly gateway: string;
  /** Lines about linked containers. */
  readonly links?: readonly string[];
  /** Addresses in networks of users. */
  readonly others?: readonly string[];
  /** Names of others are resolved at 127.0.0.11. */
  readonly named?: boolean;
}

/** Docker's address of the resolver inside a container. */
const RESOLVER = '127.0.0.11';

/** A container's own `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`, which lie in its folder: where, and with what in them. */
export async function networkFiles(
  directory: string,
  spec: containerV1.NetworkSpec | undefined,
  identity: NetworkIdentity,
): Promise<{ readonly paths: NetworkFiles; readonly files: readonly BundleFile[] }> {
  const hostHosts = spec?.mode === 'host' ? ((await unlessMissing(readFile('/etc/hosts', 'utf8'))) ?? '') : undefined;
  const resolvConf = resolvConfText(await hostResolvConf(), spec, identity.named);
  return {
    paths: networkFilePaths(directory),
    files: [
      { name: 'hosts', mode: 0o644, bytes: Buffer.from(hostsText(spec, identity, hostHosts)) },
      { name: 'hostname', mode: 0o644, bytes: Buffer.from(`${identity.hostname}\n`) },
      { name: 'resolv.conf', mode: 0o644, bytes: Buffer.from(resolvConf) },
    ],
  };
}

/**
 * Writes the files of a running container anew, in place: they are bound into it one by one. The container's own changes of them go,
 * as under docker.
 */
export async function rewriteNetworkFiles(
  directory: string,
  spec: containerV1.NetworkSpec | undefined,
  identity: NetworkIdentity,
): Promise<void> {
  const { files } = await networkFiles(directory, spec, identity);
  for (const { name, bytes } of files) {
    if (name === 'hostname') continue;
    const file = await open(join(directory, name), constants.O_WRONLY | constants.O_NOFOLLOW);
    try {
      await file.truncate(0);
      await file.writeFile(bytes);
    } finally {
      await file.close();
    }
  }
}

/** Where those of a container are. */
export function networkFilePaths(directory: string): NetworkFiles {
  return {
    hosts: join(directory, 'hosts'),
    hostname: join(directory, 'hostname'),
    resolvConf: join(directory, 'resolv.conf'),
  };
}

export function hostsText(
  spec: containerV1.NetworkSpec | undefined,
  identity: NetworkIdentity,
  hostHosts: string | undefined,
): string {
  const standard = [
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    'fe00::\tip6-localnet',
    'ff00::\tip6-mcastprefix',
    'ff02::1\tip6-allnodes',
    'ff02::2\tip6-allrouters',
  ];
  const extra = (spec?.extraHosts ?? []).map((item) => {
    const at = item.search(/[:=]/);
    const address = item.slice(at + 1).replace(/^\[(.*)\]$/, '$1');
    return `${address === 'host-gateway' ? identity.gateway || '127.0.0.1' : address}\t${item.slice(0, at)}`;
  });
  const names = identity.domainname
    ? `${identity.hostname}.${identity.domainname} ${identity.hostname}`
    : identity.hostname;
  const addresses = [identity.address, ...(identity.others ?? [])].filter((address) => address !== '');
  const own = addresses.map((address) => `${address}\t${names}`);
  const first = hostHosts === undefined ? standard : [hostHosts.trimEnd()];
  return `${[...first, ...extra, ...(identity.links ?? []), ...own].join('\n')}\n`;
}

/** Starts of one moment read the host's settings once. */
const FRESH_MS = 1_000;
let known: { readonly text: Promise<string>; readonly until: number } | undefined;

function hostResolvConf(): Promise<string> {
  const now = performance.now();
  if (!known || now > known.until) known = { text: readHostResolvConf(), until: now + FRESH_MS };
  return known.text;
}

/** The host's resolver settings; behind a local stub those of the stub, which containers cannot reach. */
async function readHostResolvConf(): Promise<string> {
  const own = (await unlessMissing(readFile('/etc/resolv.conf', 'utf8'))) ?? '';
  if (!/^nameserver\s+127\.0\.0\.53\s*$/m.test(own)) return own;
  return (await unlessMissing(readFile('/run/systemd/resolve/resolv.conf', 'utf8'))) ?? own;
}

/** Who is asked for a container's names that are not of its networks: its own servers, else the host's, which the agent reaches all. */
export async function nameServersOf(spec: containerV1.NetworkSpec | undefined): Promise<readonly string[]> {
  if (spec?.dns.length) return spec.dns;
  const lines = (await hostResolvConf()).matchAll(/^nameserver[ \t]+(\S+)/gm);
  return [...lines].map((match) => match[1] as string).filter((address) => isIP(address) !== 0);
}

export function resolvConfText(host: string, spec: containerV1.NetworkSpec | undefined, named = false): string {
  const ownNetwork = spec?.mode !== 'host';
  const of = (keyword: string): string[] =>
    host.split('\n').filter((line) => line.startsWith(`${keyword} `) || line.startsWith(`${keyword}\t`));
  // Loopback in another network namespace is another machine.
  const reachable = of('nameserver').filter((line) => !ownNetwork || !/\s(127\.|::1\s*$)/.test(line));
  const given = spec?.dns.length ? spec.dns.map((address) => `nameserver ${address}`) : reachable;
  // Docker: a search list of one dot means none.
  const searchGiven = spec?.dnsSearch ?? [];
  const search = searchGiven.length
    ? [`search ${searchGiven.join(' ')}`].filter((line) => line !== 'search .')
    : of('search');
  const own = spec?.dnsOptions.length ? [`options ${spec.dnsOptions.join(' ')}`] : of('options');
  const servers = named ? [`nameserver ${RESOLVER}`] : given;
  // Names of a network have no dots: they must not be tried with the search list first, whatever the host does.
  const options = named && !own.some((line) => /\sndots:/.test(line)) ? [`${own[0] ?? 'options'} ndots:0`] : own;
  return [...servers, ...search, ...options].map((line) => `${line}\n`).join('');
}

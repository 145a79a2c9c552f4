import { readFile } from 'node:fs/promises';
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
}

/** A container's own `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`, which lie in its folder: where, and with what in them. */
export async function networkFiles(
  directory: string,
  spec: containerV1.NetworkSpec | undefined,
  identity: NetworkIdentity,
): Promise<{ readonly paths: NetworkFiles; readonly files: readonly BundleFile[] }> {
  const hostHosts = spec?.mode === 'host' ? ((await unlessMissing(readFile('/etc/hosts', 'utf8'))) ?? '') : undefined;
  const resolvConf = resolvConfText(await hostResolvConf(), spec);
  return {
    paths: networkFilePaths(directory),
    files: [
      { name: 'hosts', mode: 0o644, bytes: Buffer.from(hostsText(spec, identity, hostHosts)) },
      { name: 'hostname', mode: 0o644, bytes: Buffer.from(`${identity.hostname}\n`) },
      { name: 'resolv.conf', mode: 0o644, bytes: Buffer.from(resolvConf) },
    ],
  };
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
  const own = identity.address === '' ? [] : [`${identity.address}\t${names}`];
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

export function resolvConfText(host: string, spec: containerV1.NetworkSpec | undefined): string {
  const ownNetwork = spec?.mode !== 'host';
  const of = (keyword: string): string[] =>
    host.split('\n').filter((line) => line.startsWith(`${keyword} `) || line.startsWith(`${keyword}\t`));
  // Loopback in another network namespace is another machine.
  const reachable = of('nameserver').filter((line) => !ownNetwork || !/\s(127\.|::1\s*$)/.test(line));
  const servers = spec?.dns.length ? spec.dns.map((address) => `nameserver ${address}`) : reachable;
  // Docker: a search list of one dot means none.
  const searchGiven = spec?.dnsSearch ?? [];
  const search = searchGiven.length
    ? [`search ${searchGiven.join(' ')}`].filter((line) => line !== 'search .')
    : of('search');
  const options = spec?.dnsOptions.length ? [`options ${spec.dnsOptions.join(' ')}`] : of('options');
  return [...servers, ...search, ...options].map((line) => `${line}\n`).join('');
}

import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { createSigningRequest, issueCertificate, saveTlsFiles } from '@atoll/identity';
import type { ClusterPaths } from '../cluster/cluster-paths.ts';
import { ensureAuthorityIn } from './service-certificates.ts';

/** Folders with ca.pem, cert.pem and key.pem, as docker's own clients and servers use them. */
export function dockerTlsDirs(paths: ClusterPaths): { readonly server: string; readonly client: string } {
  return { server: paths.tlsDir('docker-server'), client: paths.tlsDir('docker-client') };
}

/**
 * Certificates for a Docker API on the network. They have a CA of their own: a docker client is no part of the cluster, and no service's
 * certificate opens the Docker API.
 */
export async function issueDockerCertificates(paths: ClusterPaths, clusterId: string, host: string): Promise<void> {
  const authority = await ensureAuthorityIn(join(paths.tlsDir('docker-ca')), `${clusterId}-docker`);
  const dirs = dockerTlsDirs(paths);
  for (const [role, dir] of [
    ['docker-server', dirs.server],
    ['docker-client', dirs.client],
  ] as const) {
    const request = await createSigningRequest(role);
    const certificatePem = await issueCertificate(authority, {
      role,
      id: role,
      addresses: host === '0.0.0.0' ? ownAddresses() : [host],
      csrPem: request.csrPem,
    });
    await saveTlsFiles(dir, { caPem: authority.certificatePem, certificatePem, privateKeyPem: request.privateKeyPem });
  }
}

function ownAddresses(): readonly string[] {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return all
    .filter((address) => address.family === 'IPv4')
    .map((address) => address.address)
    .slice(0, 50);
}

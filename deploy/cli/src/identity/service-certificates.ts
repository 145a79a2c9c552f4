import { hasReason } from '@atoll/errors';
import {
  type Authority,
  createAuthority,
  createSigningRequest,
  issueCertificate,
  loadAuthority,
  saveAuthority,
  saveTlsFiles,
} from '@atoll/identity';
import type { Role } from '@atoll/rpc';
import type { ClusterPaths } from '../cluster/cluster-paths.ts';

/** `operator` is the atoll command itself. */
const ROLES: readonly Role[] = ['scheduler', 'registry', 'image-builder', 'gateway', 'operator'];

/** The CA of this cluster, made when it has none yet. */
export function ensureAuthority(paths: ClusterPaths, clusterId: string): Promise<Authority> {
  return ensureAuthorityIn(paths.authorityDir, clusterId);
}

export async function ensureAuthorityIn(dir: string, clusterId: string): Promise<Authority> {
  try {
    return await loadAuthority(dir);
  } catch (error) {
    if (!hasReason(error, 'not-found')) throw error;
  }
  const authority = await createAuthority({ clusterId });
  await saveAuthority(dir, authority);
  return authority;
}

/** Fresh certificates for the services of this machine: one for each start, so that none grows old. */
export async function issueServiceCertificates(
  paths: ClusterPaths,
  authority: Authority,
  addresses: readonly string[],
): Promise<void> {
  for (const role of ROLES) {
    const request = await createSigningRequest(role);
    const certificatePem = await issueCertificate(authority, {
      role,
      id: `${role}-1`,
      addresses,
      csrPem: request.csrPem,
    });
    await saveTlsFiles(paths.tlsDir(role), {
      caPem: authority.certificatePem,
      certificatePem,
      privateKeyPem: request.privateKeyPem,
    });
  }
}

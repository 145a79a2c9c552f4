import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { joinCluster } from './join-cluster.ts';
import { requestJoinToken } from './join-token.ts';
import { renewCertificate } from './renew-certificate.ts';

/** Argument of this program, JSON. */
export interface JoinHostsRequest {
  readonly scheduler: string;
  readonly operatorTlsDir: string;
  readonly hosts: readonly { readonly name: string; readonly address: string; readonly tlsDir: string }[];
}

/** A token for the hosts of one machine needs to live only as long as this program. */
const TOKEN_SECONDS = 300;

// A program of its own, so that the supervisor, which runs for months, carries neither gRPC nor X.509 code.
async function main(text: string): Promise<void> {
  const request = JSON.parse(text) as JoinHostsRequest;
  let token: string | undefined;
  for (const host of request.hosts) {
    if (await stat(join(host.tlsDir, 'cert.pem')).catch(() => undefined)) {
      await renewCertificate(request.scheduler, host.tlsDir);
      continue;
    }
    token ??= await requestJoinToken({
      scheduler: request.scheduler,
      tlsDir: request.operatorTlsDir,
      ttlSeconds: TOKEN_SECONDS,
    });
    await joinCluster({
      token,
      scheduler: request.scheduler,
      hostname: host.name,
      addresses: [host.address],
      tlsDir: host.tlsDir,
    });
  }
}

main(process.argv[2] ?? '{}').catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});

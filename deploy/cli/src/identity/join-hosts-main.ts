import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasReason } from '@atoll/errors';
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

/** A scheduler that has just started, or starts anew, leads in a moment. */
const LEADER_WAIT_MS = 20_000;
const RETRY_MS = 100;

async function onceLed<T>(ask: () => Promise<T>): Promise<T> {
  for (const end = performance.now() + LEADER_WAIT_MS; ; await sleep(RETRY_MS)) {
    try {
      return await ask();
    } catch (error) {
      if (!hasReason(error, 'unavailable') || performance.now() > end) throw error;
    }
  }
}

// A program of its own, so that the supervisor, which runs for months, carries neither gRPC nor X.509 code.
async function main(text: string): Promise<void> {
  const request = JSON.parse(text) as JoinHostsRequest;
  let token: string | undefined;
  for (const host of request.hosts) {
    if (await stat(join(host.tlsDir, 'cert.pem')).catch(() => undefined)) {
      await onceLed(() => renewCertificate(request.scheduler, host.tlsDir));
      continue;
    }
    const { scheduler, operatorTlsDir } = request;
    token ??= await onceLed(() => requestJoinToken({ scheduler, tlsDir: operatorTlsDir, ttlSeconds: TOKEN_SECONDS }));
    const joining = { token, scheduler, hostname: host.name, addresses: [host.address], tlsDir: host.tlsDir };
    await onceLed(() => joinCluster(joining));
  }
}

main(process.argv[2] ?? '{}').catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});

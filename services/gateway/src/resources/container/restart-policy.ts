import { invalidArgument } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';

const NAMES: readonly string[] = ['', 'no', 'always', 'unless-stopped', 'on-failure'];

interface PolicyRequest {
  readonly Name?: string | undefined;
  readonly MaximumRetryCount?: number | undefined;
}

/** A restart policy, checked. @throws invalid-argument in docker's words */
export function restartPolicyOf(request: PolicyRequest, autoRemove: boolean): containerV1.RestartPolicy {
  const { Name: name = '', MaximumRetryCount: count = 0 } = request;
  if (!NAMES.includes(name)) {
    throw invalidArgument(
      `invalid restart policy: unknown policy '${name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`,
    );
  }
  if (count < 0) throw invalidArgument('invalid restart policy: maximum retry count cannot be negative');
  if (count > 0 && name !== 'on-failure') {
    throw invalidArgument("invalid restart policy: maximum retry count can only be used with 'on-failure'");
  }
  if (autoRemove && name !== '' && name !== 'no') {
    throw invalidArgument("can't create 'AutoRemove' container with restart policy");
  }
  return { name, maximumRetryCount: count };
}

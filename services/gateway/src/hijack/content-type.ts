import { type ApiVersion, isAtLeast } from '@atoll/docker-api';

export const RAW_STREAM = 'application/vnd.docker.raw-stream';
export const MULTIPLEXED_STREAM = 'application/vnd.docker.multiplexed-stream';

/** Since 1.42 a connection with framed stdout and stderr says so; before, everything was called raw. */
export function streamContentType(version: ApiVersion, tty: boolean): string {
  return !tty && isAtLeast(version, 42) ? MULTIPLEXED_STREAM : RAW_STREAM;
}

import { absolutePath, address, addressList } from '@atoll/config';
import { z } from 'zod';

/** The environment of a gateway. */
export const configSchema = z.object({
  /** The unix socket of the Docker API. */
  ATOLL_DOCKER_SOCKET: absolutePath,
  /** Beside it; without TLS on loopback only. */
  ATOLL_DOCKER_TCP: address.optional(),
  /** Folder with ca.pem, cert.pem, key.pem as docker's clients use them; clients need a certificate of that CA. */
  ATOLL_DOCKER_TLS_DIR: absolutePath.optional(),
  /** Where agents bring what containers say to the Docker API; without it containers cannot mount its socket. */
  ATOLL_LISTEN: address.optional(),
  /** Whether containers may mount the Docker socket, which makes them root on all hosts. */
  ATOLL_SOCKET_MOUNTS: z.enum(['allow', 'refuse']).default('allow'),
  ATOLL_TLS_DIR: absolutePath,
  ATOLL_SCHEDULERS: addressList,
  ATOLL_REGISTRY: address,
  ATOLL_BUILDER: address,
  ATOLL_NATS_URL: z.string().min(1),
  /** JSON file `{"user":…,"password":…}`. */
  ATOLL_NATS_CREDENTIALS: absolutePath.optional(),
});

export type GatewayConfig = z.output<typeof configSchema>;

import { hostname } from 'node:os';
import { absolutePath, address, addressList, flag, pairs } from '@atoll/config';
import { z } from 'zod';
import { FAILPOINTS } from './processes/failpoint.ts';

/** The agent's environment variables. */
export const configSchema = z.object({
  /** Scheduler replicas, `host:port,…`. */
  ATOLL_SCHEDULERS: addressList,
  ATOLL_REGISTRY: address,
  ATOLL_LISTEN: address.default('0.0.0.0:7474'),
  /** Where other services reach this agent. */
  ATOLL_ADVERTISE: address,
  ATOLL_DATA_ROOT: absolutePath,
  ATOLL_TLS_DIR: absolutePath,
  /** OCI runtimes beside the native one, `name=path,…`. */
  ATOLL_RUNTIMES: pairs.default({}),
  /** Subtree below which all cgroups of this agent are, the same in every hierarchy. */
  ATOLL_CGROUP_PARENT: absolutePath.default('/atoll'),
  /** The static supervisor executable; `atoll-init`, for `--init`, is beside it. */
  ATOLL_SHIM: absolutePath,
  /** Address at which other machines reach published ports. */
  ATOLL_HOST_IP: z.ipv4(),
  /** The same for IPv6; unset: the first global one of the interface that has the other. */
  ATOLL_HOST_IPV6: z.ipv6().optional(),
  /** UDP port at which other hosts reach this one with packets of encrypted networks. */
  ATOLL_WIREGUARD_PORT: z.coerce.number().int().min(1).max(65535).default(7475),
  /** Name of the bridge; unset: derived from the node's id, so that two agents can share a network namespace. */
  ATOLL_BRIDGE: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,15}$/, 'must be an interface name')
    .optional(),
  ATOLL_MTU: z.coerce.number().int().min(576).max(65535).default(1500),
  /**
   * User namespaces for containers, as dockerd's `userns-remap`: `user`, `user:group` (their first 65536 ids of /etc/subuid and
   * /etc/subgid) or `first id:size`. Unset or empty: off.
   */
  ATOLL_USERNS_REMAP: z.string().default(''),
  /** `auto`: containers have SELinux labels where it is active and its policy knows container_t and container_file_t. */
  ATOLL_SELINUX: z.enum(['auto', 'off']).default('auto'),
  /** How often a look is taken at the host's interfaces and routes for changes to tell. */
  ATOLL_LINKS_SECONDS: z.coerce.number().int().min(1).max(3_600).default(60),
  ATOLL_NODE_LABELS: pairs.default({}),
  /** The gateway's machine is this one and no other node exists: bind mounts are the user's own paths. */
  ATOLL_LOCAL: flag.default(false),
  /** For tests of crashes: where this process is to be killed. */
  ATOLL_FAILPOINT: z.enum(FAILPOINTS).optional(),
  ATOLL_HOSTNAME: z.string().default(() => hostname()),
  /** Unused layers are removed when unused for so many hours, or earlier when the disk is fuller than the percentage. */
  ATOLL_LAYER_KEEP_HOURS: z.coerce
    .number()
    .min(0)
    .default(24 * 7),
  ATOLL_LAYER_DISK_PERCENT: z.coerce.number().min(1).max(100).default(85),
});

export type AgentConfig = Readonly<z.output<typeof configSchema>>;

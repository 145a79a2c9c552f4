export interface NatsConfigOptions {
  readonly listen: string;
  readonly name: string;
  readonly store: string;
  readonly user: string;
  readonly password: string;
  readonly durability: 'sync' | 'flags';
}

/** Memory that streams and buckets without files may take: observed state and events. */
const MEMORY_LIMIT = '256MB';

/** Configuration of the cluster's own nats-server: loopback, one user, JetStream on files. */
export function natsConfig(options: NatsConfigOptions): string {
  return `
listen: ${JSON.stringify(options.listen)}
server_name: ${JSON.stringify(options.name)}
max_payload: 4MB
max_pending: 128MB
authorization { user: ${JSON.stringify(options.user)}, password: ${JSON.stringify(options.password)} }
jetstream {
  store_dir: ${JSON.stringify(options.store)}
  max_memory_store: ${MEMORY_LIMIT}
  ${options.durability === 'sync' ? 'sync_interval: always' : ''}
}
`;
}

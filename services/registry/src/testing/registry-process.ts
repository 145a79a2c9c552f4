import { createLogger } from '@atoll/logging';
import { loadTlsIdentity } from '@atoll/rpc';
import { connectNats } from '../adapters/connect-nats.ts';
import { registryConfig } from '../config.ts';
import { Registry } from '../registry.ts';

// The registry in a process of its own, without Nest: what tests kill. Prints its ports as one line of JSON.
const logger = createLogger({ service: 'registry', level: 'silent' });
const config = registryConfig();
const [tls, bus] = [await loadTlsIdentity(config.ATOLL_TLS_DIR), await connectNats(config, logger)];
const ports = await new Registry({ config, tls, bus, logger }).start();
process.stdout.write(`${JSON.stringify(ports)}\n`);

import { unavailable } from '@atoll/errors';
import type { Handler } from '../../routing/request-context.ts';

/** GET /swarm while no swarm exists: what clients take for "not a manager". */
export function inspectSwarm(): Handler {
  return () =>
    Promise.reject(
      unavailable(
        'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
      ),
    );
}

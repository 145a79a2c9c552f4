import { networkIdOf } from '@atoll/docker-api';
import type { networkV1 } from '@atoll/proto';
import type { NetworkView } from './network-view.ts';

/** The networks every cluster has. */
export const BUILT_IN: readonly NetworkView[] = [
  ['bridge', 'bridge'],
  ['host', 'host'],
  ['none', 'null'],
].map(([name = '', driver = '']) => ({ id: networkIdOf(name), name, driver, scope: 'local', record: undefined }));

export function viewOf(record: networkV1.NetworkRecord): NetworkView {
  const { id, name, driver } = record;
  const scope = record.scope || (driver === 'overlay' ? 'swarm' : 'local');
  return { id, name, driver, scope, record };
}

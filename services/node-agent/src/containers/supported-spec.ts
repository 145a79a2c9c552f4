import { unimplemented } from '@atoll/errors';
import type { containerV1, networkV1 } from '@atoll/proto';

/** What another container can share. */
const JOINING = new Set(['NetworkMode', 'IpcMode', 'PidMode', 'UTSMode']);

/**
 * Throws unimplemented, naming the field, for what this agent cannot do. The gateway refuses it earlier; checked here again
 * because what runs is what was checked.
 */
export function requireSupported(spec: containerV1.ContainerSpec, endpoints: readonly networkV1.Endpoint[] = []): void {
  const check = (field: string, value: string, allowed: readonly string[]): void => {
    const joins = JOINING.has(field) && /^container:[0-9a-f]{64}$/.test(value);
    if (!joins && !allowed.includes(value)) throw unimplemented(`${field} "${value}" is not supported by this runtime`);
  };
  const mode = spec.network?.mode ?? '';
  // The name of a network of a user: what counts is that the scheduler has given a place in it.
  const named = endpoints.some(({ asked, networkId }) => mode === asked?.network || mode === networkId);
  if (!named) check('NetworkMode', mode, ['', 'default', 'bridge', 'none', 'host']);
  check('IpcMode', spec.ipcMode, ['', 'none', 'private', 'shareable', 'host']);
  check('PidMode', spec.pidMode, ['', 'private', 'host']);
  check('UTSMode', spec.utsMode, ['', 'private', 'host']);
  check('CgroupnsMode', spec.cgroupnsMode, ['', 'private', 'host']);
  check('UsernsMode', spec.usernsMode, ['', 'host']);
  check('LogConfig.Type', spec.log?.type ?? '', ['', 'json-file', 'local', 'none']);
}

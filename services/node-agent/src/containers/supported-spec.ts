import { unimplemented } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';

/** What another container can share. */
const JOINING = new Set(['NetworkMode', 'IpcMode', 'PidMode', 'UTSMode']);
const NETWORK = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/**
 * Throws unimplemented, naming the field, for what this agent cannot do. The gateway refuses it earlier; checked here again
 * because what runs is what was checked.
 */
export function requireSupported(spec: containerV1.ContainerSpec): void {
  const check = (field: string, value: string, allowed: readonly string[]): void => {
    const joins = JOINING.has(field) && /^container:[0-9a-f]{64}$/.test(value);
    if (!joins && !allowed.includes(value)) throw unimplemented(`${field} "${value}" is not supported by this runtime`);
  };
  const mode = spec.network?.mode ?? '';
  // The name or id of a network of a user: the container may have left it since.
  if (!NETWORK.test(mode)) check('NetworkMode', mode, ['']);
  check('IpcMode', spec.ipcMode, ['', 'none', 'private', 'shareable', 'host']);
  check('PidMode', spec.pidMode, ['', 'private', 'host']);
  check('UTSMode', spec.utsMode, ['', 'private', 'host']);
  check('CgroupnsMode', spec.cgroupnsMode, ['', 'private', 'host']);
  check('UsernsMode', spec.usernsMode, ['', 'host']);
  check('LogConfig.Type', spec.log?.type ?? '', ['', 'json-file', 'local', 'none']);
}

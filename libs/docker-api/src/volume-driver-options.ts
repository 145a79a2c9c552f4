import { invalidArgument } from '@atoll/errors';

/** What a volume of the `local` driver is, when it is no plain folder: an argument of mount(2) each. */
export interface VolumeSource {
  readonly type: string;
  readonly device: string;
  readonly options: readonly string[];
}

const NAMES: readonly string[] = ['type', 'o', 'device'];
/** File systems whose content is data of a user. Others (proc, cgroup, overlay …) would give out what is the host's. */
const TYPES: readonly string[] = ['none', 'bind', 'tmpfs', 'ext4', 'xfs', 'btrfs', 'nfs', 'nfs4', 'cifs'];

/** Undefined: a plain folder. Errors: invalid-argument naming the option and what is allowed. */
export function volumeSource(options: Readonly<Record<string, string>>): VolumeSource | undefined {
  const given = Object.keys(options);
  if (given.length === 0) return undefined;
  const unknown = given.find((name) => !NAMES.includes(name));
  if (unknown !== undefined)
    throw invalidArgument(`invalid option: "${unknown}": the local driver has ${NAMES.join(', ')}`);
  const { type = '', o = '', device = '' } = options;
  const words = o === '' ? [] : o.split(',');
  const isBind = type === 'bind' || words.some((word) => word === 'bind' || word === 'rbind');
  if (type === '' && !isBind) throw invalidArgument('missing required option: "type"');
  if (device === '') throw invalidArgument('missing required option: "device"');
  if (!isBind && type === 'none') throw invalidArgument('volume option type=none needs o=bind');
  if (type !== '' && !TYPES.includes(type)) {
    throw invalidArgument(`volume option type=${type} is not allowed: ${TYPES.join(', ')} are`);
  }
  if (/[\0\n]/.test(`${type}${o}${device}`)) throw invalidArgument('volume options must be one line');
  return { type: isBind ? 'none' : type, device, options: words };
}

export function isBindSource({ type }: VolumeSource): boolean {
  return type === 'none';
}

import { readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { invalidArgument } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';
import type { BlkioDevice, DeviceNode, DeviceRule } from '../runtime/plan.ts';
import { deviceNode } from './host-devices.ts';

/** What a container gets beside the default devices. */
export interface CustomDevices {
  readonly nodes: readonly DeviceNode[];
  readonly rules: readonly DeviceRule[];
  /** Weights and throttles. */
  readonly limits: readonly BlkioDevice[];
}

/** More are no list of devices but a mistake, such as a mapping of `/`. */
const MAX_NODES = 1024;
const MAX_DEPTH = 8;
const RULE = /^([acb]) (\d+|\*):(\d+|\*) ([rwm]{1,3})$/;

/** Looks up the devices a spec names, on this host, as they are now. Throws invalid-argument naming the path. */
export async function customDevices(resources: containerV1.Resources | undefined): Promise<CustomDevices> {
  if (!resources) return { nodes: [], rules: [], limits: [] };
  const nodes: DeviceNode[] = [];
  const rules: DeviceRule[] = [];
  for (const mapping of resources.devices) {
    for (const node of await mapped(mapping)) {
      nodes.push(node);
      const { type, major, minor } = node;
      rules.push({ allow: true, type, major, minor, access: mapping.cgroupPermissions });
    }
    if (nodes.length > MAX_NODES) throw failure(mapping.pathOnHost, `more than ${MAX_NODES} devices`);
  }
  rules.push(...resources.deviceCgroupRules.map(ruleOf));
  return { nodes, rules, limits: await blkioDevices(resources) };
}

/** A node, what a link leads to, or all nodes of a folder below the path in the container. */
async function mapped({ pathOnHost, pathInContainer }: containerV1.DeviceMapping): Promise<readonly DeviceNode[]> {
  const path = await realpath(pathOnHost).catch((error: NodeJS.ErrnoException) => {
    throw failure(pathOnHost, error.code === 'ENOENT' ? 'no such file or directory' : error.message);
  });
  const node = await nodeAt(path, pathInContainer);
  if (node) return [node];
  const found = (await stat(path)).isDirectory() ? await nodesBelow(path, pathInContainer, 0) : [];
  if (found.length === 0) throw failure(pathOnHost, 'not a device node');
  return found;
}

async function nodesBelow(folder: string, inContainer: string, depth: number): Promise<readonly DeviceNode[]> {
  const found: DeviceNode[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const [path, target] = [join(folder, entry.name), join(inContainer, entry.name)];
    if (entry.isDirectory() && depth < MAX_DEPTH) found.push(...(await nodesBelow(path, target, depth + 1)));
    const node = entry.isCharacterDevice() || entry.isBlockDevice() ? await nodeAt(path, target) : undefined;
    if (node) found.push(node);
    if (found.length > MAX_NODES) break;
  }
  return found;
}

/** Undefined for what is no device, or has just gone. */
async function nodeAt(path: string, inContainer: string): Promise<DeviceNode | undefined> {
  const info = await stat(path).catch(() => undefined);
  if (!info?.isCharacterDevice() && !info?.isBlockDevice()) return undefined;
  return deviceNode(inContainer, info);
}

function ruleOf(text: string): DeviceRule {
  const [, type, major, minor, access] = RULE.exec(text) ?? [];
  if (!type || !major || !minor || !access) throw invalidArgument(`invalid device cgroup rule format: '${text}'`);
  const number = (digits: string): number => (digits === '*' ? -1 : Number(digits));
  return { allow: true, type: type as DeviceRule['type'], major: number(major), minor: number(minor), access };
}

async function blkioDevices(resources: containerV1.Resources): Promise<readonly BlkioDevice[]> {
  const given: readonly (readonly [BlkioDevice['kind'], string, bigint])[] = [
    ...resources.blkioWeightDevice.map(({ path, weight }) => ['weight', path, BigInt(weight)] as const),
    ...resources.blkioDeviceReadBps.map(({ path, rate }) => ['readBps', path, rate] as const),
    ...resources.blkioDeviceWriteBps.map(({ path, rate }) => ['writeBps', path, rate] as const),
    ...resources.blkioDeviceReadIops.map(({ path, rate }) => ['readIops', path, rate] as const),
    ...resources.blkioDeviceWriteIops.map(({ path, rate }) => ['writeIops', path, rate] as const),
  ];
  return await Promise.all(
    given.map(async ([kind, path, rate]) => {
      const node = await nodeAt(path, path);
      if (node?.type !== 'b') throw invalidArgument(`blkio limit: "${path}" is no block device of this host`);
      return { kind, major: node.major, minor: node.minor, rate };
    }),
  );
}

function failure(path: string, why: string): Error {
  return invalidArgument(`error gathering device information while adding custom device "${path}": ${why}`);
}

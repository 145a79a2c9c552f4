import { isIP } from 'node:net';
import { parsePort } from '@atoll/docker-api';
import { invalidArgument } from '@atoll/errors';
import { containerV1 } from '@atoll/proto';
import type { PublishMode } from './publish-mode.ts';

/** `PortBindings` of requests: `80/tcp` -> the host's sides. */
export type AskedBindings = Readonly<
  Record<
    string,
    readonly { readonly HostIp?: string | undefined; readonly HostPort?: string | undefined }[] | null | undefined
  >
>;

/** The bindings a request asks for. @throws invalid-argument naming `field` */
export function parseBindings(asked: AskedBindings, field: string, mode: PublishMode): containerV1.PortBinding[] {
  return Object.entries(asked).flatMap(([text, targets]) => {
    const { port, protocol } = parsePort(text, field);
    return (targets ?? []).map((target) =>
      containerV1.PortBinding.fromPartial({
        containerPort: port,
        protocol,
        hostIp: hostIp(target.HostIp ?? '', field),
        ...hostPorts(target.HostPort ?? '', field),
        hostOnly: mode === 'host',
      }),
    );
  });
}

function hostIp(text: string, field: string): string {
  if (text === '::') return '';
  if (text === '' || isIP(text) !== 0) return text;
  throw invalidArgument(`invalid value for ${field}: invalid IP address "${text}"`);
}

function hostPorts(text: string, field: string): { hostPort: number; hostPortEnd: number } {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text === '' ? '0' : text);
  const [hostPort, last] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])];
  if (!match || hostPort > 65_535 || last > 65_535 || last < hostPort || (hostPort === 0 && last > 0)) {
    throw invalidArgument(`invalid value for ${field}: invalid port specification: "${text}"`);
  }
  return { hostPort, hostPortEnd: last === hostPort ? 0 : last };
}

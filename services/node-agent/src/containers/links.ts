import { conflict } from '@atoll/errors';
import { containerV1 } from '@atoll/proto';
import type { Container } from './container.ts';
import type { FindContainer } from './neighbours.ts';

const S = containerV1.ContainerState;
/** Of no use to another container. */
const LEFT_OUT = new Set(['HOME', 'PATH']);

/** Lines of `/etc/hosts` for the containers a spec links to. Throws conflict in docker's words when one does not run. */
export function linkedHosts(spec: containerV1.ContainerSpec, find: FindContainer): readonly string[] {
  return spec.links.map((link) => {
    const child = find(link.containerId);
    const state = child?.status.state;
    if (!child || (state !== S.RUNNING && state !== S.PAUSED) || child.status.ipAddress === '') {
      const name = child?.record.spec?.name ?? link.name;
      throw conflict(`Cannot link to a non running container: /${name} AS /${spec.name}/${link.alias}`);
    }
    const { name = '', network } = child.record.spec ?? {};
    const names = [...new Set([link.alias, network?.hostname || child.id.slice(0, 12), name])];
    return `${child.status.ipAddress}\t${names.join(' ')}`;
  });
}

/** Docker's variables about linked containers; those that do not run at the moment have none. */
export function linkEnvironment(spec: containerV1.ContainerSpec, find: FindContainer): readonly string[] {
  return spec.links.flatMap(({ containerId, alias }) => {
    const child = find(containerId);
    if (!child || child.status.ipAddress === '') return [];
    return variablesOf(child, alias, spec.name);
  });
}

function variablesOf({ record, status }: Container, alias: string, parent: string): readonly string[] {
  const prefix = alias.toUpperCase().replaceAll('-', '_');
  const ports = (record.spec?.network?.exposedPorts ?? [])
    .map((text) => ({ port: Number(text.split('/')[0]), protocol: text.split('/')[1] ?? 'tcp' }))
    .sort((a, b) => a.port - b.port || (a.protocol === 'tcp' ? -1 : 1));
  const urls = ports.map(({ port, protocol }) => `${protocol}://${status.ipAddress}:${port}`);
  return [
    ...(urls[0] === undefined ? [] : [`${prefix}_PORT=${urls[0]}`]),
    ...ports.flatMap(({ port, protocol }, index) => {
      const name = `${prefix}_PORT_${port}_${protocol.toUpperCase()}`;
      return [
        `${name}=${urls[index]}`,
        `${name}_ADDR=${status.ipAddress}`,
        `${name}_PORT=${port}`,
        `${name}_PROTO=${protocol}`,
      ];
    }),
    `${prefix}_NAME=/${parent}/${alias}`,
    ...(record.spec?.process?.env ?? [])
      .filter((item) => item.includes('=') && !LEFT_OUT.has(item.split('=', 1)[0] ?? ''))
      .map((item) => `${prefix}_ENV_${item}`),
  ];
}

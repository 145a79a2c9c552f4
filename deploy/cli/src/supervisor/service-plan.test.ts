import { describe, expect, test } from 'vitest';
import { ClusterPaths } from '../cluster/cluster-paths.ts';
import type { ClusterSettings } from '../cluster/cluster-settings.ts';
import { ServicePlanner } from './service-plan.ts';

const paths = new ClusterPaths({ name: 'trial', dataRoot: '/tmp/atoll-trial' });
const settings: ClusterSettings = {
  clusterId: 'c1',
  hosts: 3,
  registryMirrors: { 'docker.io': 'http://mirror:5001', 'quay.io': 'https://other' },
  strategy: 'binpack',
  block: '10.214.7.0/24',
  ports: { nats: 1, scheduler: 2, registry: 3, 'registry-http': 4, 'image-builder': 5, gateway: 6 },
};
const planner = (more: Partial<ClusterSettings> = {}) =>
  new ServicePlanner(paths, { ...settings, ...more }, '10.214.7.1');

describe('what a service is told', () => {
  test('a cluster of one machine listens on its underlay only', () => {
    const { env } = planner().scheduler('sync');
    expect(env).toMatchObject({
      ATOLL_LISTEN: '10.214.7.1:2',
      ATOLL_ADVERTISE: '10.214.7.1:2',
      ATOLL_STRATEGY: 'binpack',
    });
  });

  test('one for many machines listens everywhere and gives its advertised address', () => {
    const { env } = planner({ advertise: '192.0.2.1' }).scheduler('sync');
    expect(env).toMatchObject({ ATOLL_LISTEN: '0.0.0.0:2', ATOLL_ADVERTISE: '192.0.2.1:2' });
  });

  test.each([
    ['sync', 'sync'],
    ['flags', 'flags'],
    [undefined, undefined],
  ] as const)('the scheduler hears how its store is durable: %s', (mode, want) => {
    expect(planner().scheduler(mode).env['ATOLL_NATS_DURABLE']).toBe(want);
  });

  test('nats-server and the registry for docker push stay on loopback', () => {
    expect(planner({ advertise: '192.0.2.1' }).natsListen).toBe('127.0.0.1:1');
    expect(planner({ advertise: '192.0.2.1' }).registry().env['ATOLL_LISTEN_HTTP']).toBe('127.0.0.1:4');
  });

  test.each([
    ['one of this machine', {}, '10.214.7.1'],
    ['one for many machines', { advertise: '192.0.2.1' }, '192.0.2.1'],
  ])('hosts hear where the gateway takes connections of containers: %s', (_name, more, address) => {
    const { env } = planner(more).gateway();
    const port = env['ATOLL_LISTEN']?.split(':')[1];
    expect(planner(more).scheduler('sync').env['ATOLL_GATEWAYS']).toBe(`${address}:${port}`);
    expect(env['ATOLL_SOCKET_MOUNTS']).toBe('allow');
    expect(planner({ ...more, socketMounts: 'refuse' }).gateway().env['ATOLL_SOCKET_MOUNTS']).toBe('refuse');
  });

  test('mirrors are listed by registry name', () => {
    expect(planner().registry().env['ATOLL_REGISTRY_MIRRORS']).toBe(
      'docker.io=http://mirror:5001,quay.io=https://other',
    );
  });

  test.each([
    ['one host here', { hosts: 1 }, 'true'],
    ['several hosts', { hosts: 2 }, 'false'],
    ['one host here, others elsewhere', { hosts: 1, advertise: '192.0.2.1' }, 'false'],
  ])('bind mounts are local ones for %s', (_name, more, want) => {
    expect(planner(more).agent({ name: 'h1', address: '10.214.7.11' }).env['ATOLL_LOCAL']).toBe(want);
  });

  test('agents have no way to the store: no address, no password', () => {
    const { env } = planner().agent({ name: 'h2', address: '10.214.7.12' });
    expect(Object.keys(env).filter((name) => name.includes('NATS') || name.includes('REDIS'))).toEqual([]);
    expect(env).toMatchObject({
      ATOLL_LISTEN: '10.214.7.12:7474',
      ATOLL_CGROUP_PARENT: '/atoll/trial/h2',
      ATOLL_HOSTNAME: 'h2',
    });
  });

  test('a port nobody chose is a clear error', () => {
    expect(() => planner({ ports: {} }).gateway()).toThrow(/no port for/);
  });
});

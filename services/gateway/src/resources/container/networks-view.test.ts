import { containerV1 } from '@atoll/proto';
import { expect, test } from 'vitest';
import { addressOnHost } from './networks-view.ts';

const end = (network: string, ipv4Address: string, ipv4Gateway: string, gwPriority = 0, driver = 'bridge') => ({
  ipv4Address,
  ipv4Gateway,
  driver,
  asked: { network, gwPriority },
});

test.each([
  ['the default bridge first', '10.213.1.2', [end('a', '10.1.0.2', '10.1.0.1')], '10.213.1.2'],
  ['the first by name', '', [end('b', '10.2.0.2', '10.2.0.1'), end('a', '10.1.0.2', '10.1.0.1')], '10.1.0.2'],
  ['the highest priority', '', [end('a', '10.1.0.2', '10.1.0.1'), end('b', '10.2.0.2', '10.2.0.1', 1)], '10.2.0.2'],
  ['no internal one', '', [end('a', '10.1.0.2', ''), end('b', '10.2.0.2', '10.2.0.1')], '10.2.0.2'],
  [
    'no macvlan one',
    '',
    [end('a', '10.1.0.2', '10.1.0.1', 1, 'macvlan'), end('b', '10.2.0.2', '10.2.0.1')],
    '10.2.0.2',
  ],
  ['none', '', [end('a', '10.1.0.2', '')], undefined],
])('where a container is reached from its host: %s', (_name, ipAddress, endpoints, wanted) => {
  const record = containerV1.ContainerRecord.fromPartial({ nodeId: 'n1', endpoints });
  const status = containerV1.ContainerStatus.fromPartial({ nodeId: 'n1', ipAddress });
  const spec = containerV1.ContainerSpec.fromPartial({});
  expect(addressOnHost({ record, spec, status, node: undefined })).toBe(wanted);
});

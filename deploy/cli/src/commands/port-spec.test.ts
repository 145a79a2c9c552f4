import { describe, expect, test } from 'vitest';
import { parsePortSpec, portBindings, portLines } from './port-spec.ts';

describe('ports on the command line', () => {
  test.each([
    ['80', '80/tcp', '', ''],
    ['8080:80', '80/tcp', '', '8080'],
    ['8080:80/udp', '80/udp', '', '8080'],
    ['8000-8010:80/SCTP', '80/sctp', '', '8000-8010'],
    ['127.0.0.1:8080:80', '80/tcp', '127.0.0.1', '8080'],
    ['127.0.0.1::80', '80/tcp', '127.0.0.1', ''],
    ['[::1]:8080:80', '80/tcp', '::1', '8080'],
  ])('%s', (text, port, HostIp, HostPort) => {
    expect(parsePortSpec(text)).toEqual({ port, HostIp, HostPort });
  });
  test.each([
    ['', 'ports are 1 to 65535'],
    ['x', 'ports are 1 to 65535'],
    ['0', 'ports are 1 to 65535'],
    ['80:70000', 'ports are 1 to 65535'],
    ['70000:80', 'ports are 1 to 65535'],
    ['0:80', 'ports are 1 to 65535'],
    ['80/icmp', 'the protocol is tcp, udp or sctp'],
    ['10.0.0.300:80:80', '10.0.0.300 is not an IP address'],
    ['host:80:80', 'host is not an IP address'],
    ['1:2:3:4', 'ports are 1 to 65535'],
  ])('"%s" is none', (text, why) => {
    expect(() => parsePortSpec(text)).toThrow(`invalid port "${text}": ${why}`);
  });
  test('many in one request, and the answer', () => {
    const bindings = portBindings(['8080:80', '[::1]:8081:80', '53:53/udp'].map(parsePortSpec));
    expect(bindings).toEqual({
      '80/tcp': [
        { HostIp: '', HostPort: '8080' },
        { HostIp: '::1', HostPort: '8081' },
      ],
      '53/udp': [{ HostIp: '', HostPort: '53' }],
    });
    expect(
      portLines({
        '80/tcp': [
          { HostIp: '0.0.0.0', HostPort: '8080' },
          { HostIp: '::1', HostPort: '1' },
        ],
      }),
    ).toBe('80/tcp -> 0.0.0.0:8080\n80/tcp -> [::1]:1\n');
  });
});

import { expect, test } from 'vitest';
import { parseTcpEndpoint } from './tcp-endpoint.ts';

test.each([
  ['127.0.0.1:2375', '127.0.0.1', 2375, true],
  ['localhost:2375', 'localhost', 2375, true],
  ['tcp://10.0.0.7:2376', '10.0.0.7', 2376, false],
  ['0.0.0.0:2376', '0.0.0.0', 2376, false],
])('%s', (text, host, port, loopback) => {
  expect(parseTcpEndpoint(text)).toEqual({ host, port, loopback });
});

test.each(['2375', ':2375', '10.0.0.1', '10.0.0.1:70000', 'name:1'])('%j is refused', (text) => {
  expect(() => parseTcpEndpoint(text)).toThrow(/IPv4 address and port/);
});

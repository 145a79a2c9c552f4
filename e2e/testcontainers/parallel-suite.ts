import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GenericContainer, Network, type StartedTestContainer, Wait } from 'testcontainers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../lib/run.ts';

/** One of many test files at once: a network with a server and a client of it, as an application's tests have them. */
export function parallelSuite(number: number, resultsFolder: string): void {
  describe(`file ${number}`, () => {
    let started: StartedTestContainer[] = [];
    let network: Awaited<ReturnType<Network['start']>>;

    beforeAll(async () => {
      network = await new Network().start();
      const server = new GenericContainer('busybox')
        .withNetwork(network)
        .withNetworkAliases('server')
        .withCopyContentToContainer([{ content: `page of ${number}`, target: '/www/index.html' }])
        .withCommand(['httpd', '-f', '-p', '80', '-h', '/www'])
        .withExposedPorts(80)
        .withWaitStrategy(Wait.forHttp('/', 80));
      const client = new GenericContainer('busybox').withNetwork(network).withCommand(['sleep', '600']);
      started = await Promise.all([server.start(), client.start()]);
      const ids = started.map((one) => one.getId());
      const { stdout } = await run('docker', ['inspect', '-f', '{{.Node.Name}}', ...ids]);
      await writeFile(
        join(resultsFolder, `${number}.json`),
        JSON.stringify({ objects: [...ids, network.getId()], hosts: stdout.trim().split('\n') }),
      );
    });
    afterAll(async () => {
      // The second one is left to the reaper, and the network with it.
      await started[0]?.stop();
    });

    test('its server answers by its port', async () => {
      const server = started[0] as StartedTestContainer;
      const answer = await fetch(`http://${server.getHost()}:${server.getMappedPort(80)}/`);
      expect(await answer.text()).toBe(`page of ${number}`);
    });

    test('and its client by name', async () => {
      const { output, exitCode } = await (started[1] as StartedTestContainer).exec([
        'wget',
        '-q',
        '-O-',
        'http://server/',
      ]);
      expect([exitCode, output]).toEqual([0, `page of ${number}`]);
    });
  });
}

import { readFile } from 'node:fs/promises';
import { buildV1, type containerV1, nodeV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TEST_IDS } from '../runtime/testing/user-namespace-modes.ts';
import { TestHost } from '../testing/test-host.ts';

type Spec = Parameters<typeof containerV1.ContainerSpec.fromPartial>[0];

let host: TestHost;
beforeAll(async () => {
  host = await TestHost.create({ userNamespaces: 'with' });
});
afterAll(async () => {
  await host?.dispose();
});

async function output(script: string, spec: Spec = {}): Promise<string> {
  const record = host.record(['sh', '-c', script], spec);
  const result = await host.run(record);
  await host.remove(record);
  return result.output.trim();
}

async function refusal(spec: Spec): Promise<string> {
  const record = host.record(['true'], spec);
  await host.ensure(record);
  const { code, message } = await host.scheduler.tryOrder({ action: nodeV1.Action.START, record });
  expect(code).not.toBe(0);
  await host.remove(record);
  return message;
}

const MAP = 'cat /proc/self/uid_map';
const MAPPED = new RegExp(`^0 +${TEST_IDS.uid} +${TEST_IDS.size}$`);
const OF_THE_HOST = /^0 +0 +4294967295$/;

describe('containers of a node that remaps ids', { timeout: 120_000 }, () => {
  test('are in user namespaces, which the node tells', async () => {
    expect(host.scheduler.hello?.facts?.usernsRemap).toBe(true);
    expect(await output(MAP)).toMatch(MAPPED);
  });

  test("but for those that ask for the host's", async () => {
    expect(await output(MAP, { usernsMode: 'host' })).toMatch(OF_THE_HOST);
    const all = { usernsMode: 'host', pidMode: 'host', network: { mode: 'host' }, security: { privileged: true } };
    expect(await output(MAP, all)).toMatch(OF_THE_HOST);
  });

  test.each([
    ['privileged', { security: { privileged: true } }, /^privileged mode is incompatible with user namespaces/],
    ["the host's network", { network: { mode: 'host' } }, /^cannot share the host's network namespace when user/],
    ["the host's processes", { pidMode: 'host' }, /^cannot share the host PID namespace when user/],
    [
      'another runtime',
      { runtime: 'runc' },
      /^runtime runc cannot be had when user namespaces are enabled: use --userns=host/,
    ],
    ['a user beyond the ids', { process: { user: '70000' } }, /70000 is not one of the 65536 ids/],
  ] as [string, Spec, RegExp][])('are refused: %s', async (_name, spec, words) => {
    expect(await refusal(spec)).toMatch(words);
  });

  test('a volume has the same owners for containers of both kinds', async () => {
    const spec = { mounts: [{ type: 'volume', source: 'both', target: '/data' }] };
    const look = 'stat -c "%u:%g" /data/seed /data/*made';
    await output('touch /data/1made; chown 1000:1001 /data/1made', spec);
    await output('touch /data/2made; chown 1002:1003 /data/2made', { ...spec, usernsMode: 'host' });
    const owners = await output(look, spec);
    expect(owners.split('\n').slice(-2)).toEqual(['1000:1001', '1002:1003']);
    expect(await output(look, { ...spec, usernsMode: 'host' })).toBe(owners);
  });

  test('what is shown of it is as in any other: its files, network and names', async () => {
    const script =
      'hostname; tail -n 1 /etc/hosts | cut -f 2; echo x >>/etc/hosts; stat -c %u /etc/hosts /; ip -4 -o a show eth0 | wc -l';
    const spec = { network: { mode: 'bridge', hostname: 'box' } };
    expect(await output(script, spec)).toBe('box\nbox\n0\n0\n1');
    expect(await output('cat /proc/sys/net/ipv4/ping_group_range', spec)).toMatch(/^0\s+65535$/);
  });

  test('its processes are listed, whoever they are on the host', async () => {
    for (const user of ['', '33']) {
      const record = host.record(['sleep', '600'], { process: { user } });
      await host.ensure(record);
      await host.start(record);
      const { processes } = await host.runtime.top({ containerId: record.id, psArgs: '-o pid,comm' });
      expect(processes.map(({ fields }) => fields[1])).toEqual(['sleep']);
      await host.remove(record);
    }
  });

  test("another container's namespaces come with its user namespace", async () => {
    const other = host.record(['sleep', '600'], { ipcMode: 'shareable', network: { mode: 'none' } });
    await host.ensure(other);
    await host.start(other);
    const mode = `container:${other.id}`;
    const spec = { ipcMode: mode, pidMode: mode, network: { mode } };
    expect(await output('for at in self 1; do readlink /proc/$at/ns/user; done | uniq | wc -l', spec)).toBe('1');
    await host.remove(other);
    const plain = host.record(['sleep', '600'], { usernsMode: 'host' });
    await host.ensure(plain);
    await host.start(plain);
    const network = { mode: `container:${plain.id}` };
    expect(await refusal({ network })).toMatch(/run this one with the host's user namespace/);
    expect(await output(MAP, { network, usernsMode: 'host' })).toMatch(OF_THE_HOST);
    await host.remove(plain);
  });

  test('steps of builds are in one too, and their layers have the ids of the image', async () => {
    const channel = host.channelOf(await host.pki.identity('image-builder', 'builder-1'));
    const steps = channel.client(buildV1.BuildStepServiceService);
    const argv = ['sh', '-c', `${MAP}; touch /made; chown 7:8 /made`];
    const run = async (request: Parameters<typeof buildV1.RunStepRequest.fromPartial>[0]): Promise<string> => {
      let text = '';
      const base = { layers: [host.layer] };
      const full = buildV1.RunStepRequest.fromPartial({
        base,
        argv,
        env: ['PATH=/bin'],
        networkMode: 'none',
        ...request,
      });
      for await (const { message } of steps.runStep(full)) {
        if (message?.$case === 'output') text += message.value.data.toString();
        else if (message?.$case === 'result' && message.value.layer) {
          const layers = [host.layer, message.value.layer];
          text += await run({ base: { layers }, argv: ['stat', '-c', '%u:%g', '/made'] });
        }
      }
      return text;
    };
    const lines = (await run({})).trim().split('\n');
    expect(lines[0]).toMatch(/^ *0 +1000000 +65536$/);
    expect(lines[1]).toBe('7:8');
    await expect(run({ networkMode: 'host' })).rejects.toThrow(/cannot share the host's network namespace/);
    channel.close();
  });

  test('go on when the node stops remapping, and start anew as the others', async () => {
    const script = 'stat -c %u:%g /made; touch /made; chown 5:6 /made; exec sleep 600';
    const record = host.record(['sh', '-c', script]);
    await host.ensure(record);
    const { pid } = await host.start(record);
    await host.killAgent('SIGTERM');
    host.userNamespaces = 'without';
    await host.startAgent();
    expect(await readFile(`/proc/${pid}/uid_map`, 'utf8')).toMatch(/^ *0 +1000000 +65536\n$/);
    expect(await output(MAP)).toMatch(OF_THE_HOST);
    const again = await host.scheduler.order({ action: nodeV1.Action.RESTART, record, timeoutSeconds: 0n });
    expect(await readFile(`/proc/${again.pid}/uid_map`, 'utf8')).toMatch(/^ *0 +0 +4294967295\n$/);
    await expect.poll(() => host.logs(record.id, { stderr: false })).toBe('5:6\n');
    await host.remove(record);
  });
});

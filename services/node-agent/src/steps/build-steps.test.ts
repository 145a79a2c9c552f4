import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { buildV1, type containerV1 } from '@atoll/proto';
import type { Client } from '@atoll/rpc';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestHost } from '../testing/test-host.ts';
import { testLayer } from '../testing/test-image.ts';

let host: TestHost;
let steps: Client<buildV1.BuildStepServiceService>;
beforeAll(async () => {
  host = await TestHost.create();
  const channel = host.channelOf(await host.pki.identity('image-builder', 'builder-1'));
  steps = channel.client(buildV1.BuildStepServiceService);
});
afterAll(async () => {
  await host?.dispose();
});

interface Ran {
  readonly output: string;
  readonly result: buildV1.StepResult | undefined;
}

async function run(
  argv: readonly string[],
  layers: readonly containerV1.Layer[] = [host.layer],
  more: Parameters<typeof buildV1.RunStepRequest.fromPartial>[0] = {},
): Promise<Ran> {
  const request = { base: { layers: [...layers] }, argv: [...argv], env: ['PATH=/bin'], networkMode: 'none', ...more };
  let output = '';
  let result: buildV1.StepResult | undefined;
  for await (const { message } of steps.runStep(buildV1.RunStepRequest.fromPartial(request))) {
    if (message?.$case === 'output') output += message.value.data.toString();
    else if (message?.$case === 'result') result = message.value;
  }
  return { output, result };
}

async function copy(
  start: Parameters<typeof buildV1.CopyStepStart.fromPartial>[0],
  tar: Buffer = Buffer.alloc(1024),
): Promise<buildV1.StepResult | undefined> {
  const requests = async function* (): AsyncGenerator<buildV1.CopyStepRequest> {
    yield { message: { $case: 'start', value: buildV1.CopyStepStart.fromPartial(start) } };
    for (let at = 0; at < tar.length; at += 700) {
      yield { message: { $case: 'data', value: tar.subarray(at, at + 700) } };
    }
  };
  return (await steps.copyStep(requests())).result;
}

/** Names with owners in a layer's blob. */
function members(layer: containerV1.Layer | undefined): string[] {
  const tar = gunzipSync(host.registry.blobs.get(layer?.digest ?? '') ?? Buffer.alloc(0));
  expect(`sha256:${createHash('sha256').update(tar).digest('hex')}`).toBe(layer?.diffId);
  const list = execFileSync('tar', ['--numeric-owner', '-tvf', '-'], { input: tar, encoding: 'utf8' });
  return list
    .trim()
    .split('\n')
    .map((line) => line.split(/\s+/))
    .map((fields) => `${fields[1]} ${fields.slice(5).join(' ')}`);
}

function tarOf(...args: string[]): Buffer {
  return execFileSync('tar', ['-C', '/etc', '--owner=7', '--group=8', '-cf', '-', ...args]);
}

describe('RUN', { timeout: 120_000 }, () => {
  test('what it writes is a layer, in the image store and under the next step', async () => {
    const first = await run(['sh', '-c', 'echo one; echo two >/made; mkdir /dir; rm /data/seed']);
    expect(first.output).toBe('one\n');
    expect(first.result).toMatchObject({ exitCode: 0, empty: false });
    const layer = first.result?.layer as containerV1.Layer;
    expect(members(layer)).toEqual(['0/0 data/', '0/0 data/.wh.seed', '0/0 dir/', '0/0 made']);
    expect(host.registry.blobs.get(layer.digest)?.length).toBe(Number(layer.size));
    const second = await run(['sh', '-c', 'cat /made; ls /data'], [host.layer, layer]);
    expect(second.output).toBe('two\n');
    expect(second.result).toMatchObject({ exitCode: 0, empty: true, layer: undefined });
    expect(host.registry.reads.get(layer.digest)).toBeUndefined();
    // Another host makes the same of the blob.
    const other = host.record(['cat', '/made'], { image: { layers: [host.layer, layer] } });
    expect((await host.run(other)).output).toBe('two\n');
    await host.remove(other);
  });

  test('its failure is a result, without a layer', async () => {
    const { output, result } = await run(['sh', '-c', 'echo no >&2; touch /x; exit 4']);
    expect(output).toBe('no\n');
    expect(result).toMatchObject({ exitCode: 4, layer: undefined, empty: false });
  });

  test('a shell that is not there is an error', async () => {
    await expect(run(['/no/shell', '-c', 'true'])).rejects.toThrow('no such file or directory');
  });

  test('environment, folder, user and names', async () => {
    const script = 'echo $A $(pwd) $(id -u) $(hostname); grep -c gone /etc/hosts';
    const { output } = await run(['sh', '-c', script], [host.layer], {
      env: ['PATH=/bin', 'A=b'],
      cwd: '/home/ann',
      user: 'ann',
      hostname: 'builder',
      extraHosts: ['gone:1.2.3.4'],
    });
    expect(output).toBe('b /home/ann 1000 builder\n1\n');
  });

  test.each([
    ['1', '1 0'],
    ['ann', '1000 1001'],
    ['1000', '1000 1001'],
    ['1000:', '1000 1001'],
    ['4242:44', '4242 44'],
    ['2147483647', '2147483647 0'],
  ])('E17: the user "%s"', async (user, ids) => {
    const { output } = await run(['sh', '-c', 'echo $(id -u) $(id -g)'], [host.layer], { user });
    expect(output).toBe(`${ids}\n`);
  });

  test.each(['-1', '4294967296', '2147483648', '01', ' 1', '+1', '1.0', '0x0', 'root:-1', 'ann:nobody'])(
    'E17: the user "%s" is refused',
    async (user) => {
      await expect(run(['id'], [host.layer], { user })).rejects.toMatchObject({ reason: 'invalid-argument' });
    },
  );

  test('E17: a name of digits is nobody of passwd', async () => {
    const layer = await testLayer(host.registry, async (folder) => {
      await mkdir(join(folder, 'etc'));
      await writeFile(join(folder, 'etc/passwd'), '1000:x:0:0::/:/bin/sh\n');
    });
    const { output } = await run(['id', '-u'], [host.layer, layer], { user: '1000' });
    expect(output).toBe('1000\n');
  });

  test('a link to the bridge, when asked for', async () => {
    const { output } = await run(['ip', 'route'], [host.layer], { networkMode: 'default' });
    expect(output).toContain('default via 10.231.7.1 dev eth0');
  });

  test('cancelled: nothing of it is left', async () => {
    const life = new AbortController();
    const request = {
      base: { layers: [host.layer] },
      argv: ['sh', '-c', 'echo begun; sleep 1000'],
      env: ['PATH=/bin'],
    };
    const stream = steps.runStep(buildV1.RunStepRequest.fromPartial(request), { signal: life.signal });
    await expect(
      (async () => {
        for await (const { message } of stream) if (message?.$case === 'output') life.abort();
      })(),
    ).rejects.toThrow();
    let leaks: readonly string[] = ['?'];
    while (leaks.length > 0) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      leaks = await host.leaks();
    }
  });
});

describe('COPY', { timeout: 120_000 }, () => {
  const base = () => ({ layers: [host.layer] });
  test.each([
    [
      'into a folder',
      { destination: '/new/place', into: true },
      ['0/0 new/', '0/0 new/place/', '0/0 new/place/hostname'],
    ],
    ['to a new name', { destination: '/new/name' }, ['0/0 new/', '0/0 new/name']],
    ['below a folder that is there', { destination: '/data' }, ['0/0 data/', '0/0 data/hostname']],
    ['with an owner by name', { destination: '/tmp/x', chown: 'ann' }, ['0/0 tmp/', '1000/1000 tmp/x']],
    ['with an owner and a group', { destination: '/tmp/x', chown: 'ann:ann' }, ['0/0 tmp/', '1000/1001 tmp/x']],
    [
      'with the owner of the archive',
      { destination: '/tmp', into: true, keepOwner: true },
      ['0/0 tmp/', '7/8 tmp/hostname'],
    ],
  ])('%s', async (_name, start, want) => {
    const result = await copy({ base: base(), ...start }, tarOf('hostname'));
    expect(members(result?.layer)).toEqual(want);
  });

  test('from scratch', async () => {
    const result = await copy({ base: { layers: [] }, destination: '/only', into: false }, tarOf('hostname'));
    expect(members(result?.layer)).toEqual(['0/0 only']);
  });

  test('from other layers: files, and the content of folders', async () => {
    const file = await copy({ base: { layers: [] }, destination: '/got', from: base(), fromPaths: ['/data/seed'] });
    expect(members(file?.layer)).toEqual(['0/0 got']);
    const folder = await copy({ base: { layers: [] }, destination: '/all/', from: base(), fromPaths: ['/data'] });
    expect(members(folder?.layer)).toEqual(['0/0 all/', '0/0 all/seed']);
    const missing = copy({ base: { layers: [] }, destination: '/all/', from: base(), fromPaths: ['/none'] });
    await expect(missing).rejects.toThrow('stat none: file does not exist');
  });

  test('an owner nobody knows', async () => {
    await expect(copy({ base: base(), destination: '/x', chown: 'nobody-here' }, tarOf('hostname'))).rejects.toThrow(
      'nobody-here',
    );
  });
});

describe('WORKDIR and digests', { timeout: 120_000 }, () => {
  test('a folder is made once', async () => {
    const request = buildV1.MakeDirectoryRequest.fromPartial({ base: { layers: [host.layer] }, path: '/a/b' });
    const { result } = await steps.makeDirectory(request);
    expect(members(result?.layer)).toEqual(['0/0 a/', '0/0 a/b/']);
    const again = { ...request, base: { layers: [host.layer, result?.layer as containerV1.Layer] } };
    expect((await steps.makeDirectory(again)).result).toMatchObject({ empty: true, layer: undefined });
  });

  test('the same files made again have the same digest, others another', async () => {
    const digest = async (layers: containerV1.Layer[], paths: string[]): Promise<string> =>
      (await steps.digestPaths(buildV1.DigestPathsRequest.fromPartial({ base: { layers }, paths }))).digest;
    const made = async (text: string): Promise<containerV1.Layer> =>
      (await run(['sh', '-c', `mkdir /out; echo ${text} >/out/f; touch -d @${Math.floor(Math.random() * 1e9)} /out/f`]))
        .result?.layer as containerV1.Layer;
    const [one, two, three] = [await made('same'), await made('same'), await made('other')];
    const first = await digest([host.layer, one], ['/out']);
    expect(await digest([host.layer, two], ['/out'])).toBe(first);
    expect(await digest([host.layer, three], ['/out'])).not.toBe(first);
    expect(await digest([host.layer, one], ['/out/f'])).not.toBe(first);
  });
});

describe('who may ask', () => {
  test('only the builder', async () => {
    for (const role of ['gateway', 'scheduler', 'registry', 'node', 'operator'] as const) {
      const channel = host.channelOf(await host.pki.identity(role, 'x'));
      const client = channel.client(buildV1.BuildStepServiceService);
      await expect(client.digestPaths({ base: undefined, paths: [] })).rejects.toThrow(`role ${role} may not call`);
      channel.close();
    }
  });
});

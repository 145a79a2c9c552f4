import { type containerV1, runtimeV1 } from '@atoll/proto';
import { AsyncQueue } from '@atoll/rpc';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestHost } from '../testing/test-host.ts';

let host: TestHost;
let record: containerV1.ContainerRecord;
beforeAll(async () => {
  host = await TestHost.create();
  record = host.record(['sleep', '1000']);
  await host.ensure(record);
  await host.start(record);
});
afterAll(async () => {
  await host?.dispose();
});

async function detached(...argv: string[]): Promise<string> {
  const spec = runtimeV1.ExecSpec.fromPartial({ argv });
  const { execId } = await host.runtime.createExec({ containerId: record.id, spec });
  const input = new AsyncQueue<runtimeV1.StartExecRequest>(1);
  input.push({ message: { $case: 'start', value: { execId, detach: true, tty: false, console: undefined } } });
  input.end();
  for await (const _ of host.runtime.startExec(input));
  return execId;
}

test('execs are answered for after a kill -9 of the agent', { timeout: 120_000 }, async () => {
  const ended = await detached('sh', '-c', 'exit 3');
  const running = await detached('sh', '-c', 'while [ ! -e /go ]; do sleep 0.05; done; exit 4');
  const inspect = (execId: string) => host.runtime.inspectExec({ execId });
  await expect.poll(() => inspect(ended)).toMatchObject({ running: false, exitCode: 3 });
  await expect.poll(() => host.execFile(record.id)).toMatch(/"exitCode":3.*"argv":\["sh","-c","while/);
  await host.killAgent();
  await host.startAgent();
  expect(await inspect(ended)).toMatchObject({ running: false, exitCode: 3, containerId: record.id });
  expect(await inspect(running)).toMatchObject({ running: true, exitCode: undefined });
  expect((await host.runtime.getStatus({ containerId: record.id })).execIds).toEqual([running]);
  await expect(host.runtime.resizeExec({ execId: running, window: { height: 1, width: 1 } })).rejects.toThrow(
    'has outlived the agent',
  );
  await detached('touch', '/go');
  await expect.poll(() => inspect(running).catch((error: Error) => error.message)).toContain('is not known');
  await host.remove(record);
  await expect(inspect(ended)).rejects.toThrow('No such exec instance');
});

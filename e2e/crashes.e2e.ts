import { existsSync, readFileSync } from 'node:fs';
import { expect, inject, test } from 'vitest';
import { DockerStream, docker, dockerOk, runOn } from './lib/docker.ts';
import { killAndWait, pidOf } from './lib/services.ts';
import { until } from './lib/until.ts';

const [h1 = '', h2 = '', h3 = ''] = inject('hosts');
/** Long enough for an agent to be away: LONG=1 makes it the minute and the million lines of the list of checks. */
const LINES = process.env['LONG'] ? 1_000_000 : 100_000;
const AWAY_MS = process.env['LONG'] ? 60_000 : 3_000;

const ticker = ['sh', '-c', 'i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.05; done'];
const ticks = (output: string): number[] => [...output.matchAll(/^tick (\d+)$/gm)].map((match) => Number(match[1]));
const isUnbroken = (numbers: readonly number[]): boolean =>
  numbers.every((n, i) => i === 0 || n === (numbers[i - 1] ?? 0) + 1);

test('F13: an agent killed under attach, exec and logs -f: containers run on, followers miss nothing', async () => {
  await using container = await runOn(h2, [], ticker);
  await using logs = new DockerStream(['logs', '-f', container.name]);
  await using attached = new DockerStream(['attach', '--no-stdin', container.name]);
  await using exec = new DockerStream(['exec', container.name, 'sh', '-c', 'echo in; sleep 600']);
  await Promise.all([logs.saw('tick 3\n'), exec.saw('in\n'), attached.saw('tick')]);
  const pid = await container.inspect<number>('.State.Pid');
  await killAndWait(h2);
  const seen = ticks(logs.stdout).length;
  await until('more lines', async () => ticks(logs.stdout).length > seen + 20);
  expect(isUnbroken(ticks(logs.stdout))).toBe(true);
  expect(await container.inspect<number>('.State.Pid')).toBe(pid);
  // Streams straight through the agent end with it (the CLI's attach then waits for the container), and can be had again.
  await exec.closed;
  await using again = new DockerStream(['attach', '--no-stdin', container.name]);
  await again.saw('tick');
  expect(await dockerOk(['top', container.name])).toContain('sleep 600');
});

test('F14: what ended while the agent was away is known exactly, also that memory ended it', async () => {
  await using plain = await runOn(h1, [], ['sh', '-c', 'sleep 1; date +%s; exit 42']);
  await using hog = await runOn(h1, ['-m', '16m'], ['sh', '-c', 'sleep 1; tail /dev/zero']);
  process.kill(pidOf(h1), 'SIGSTOP');
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  await killAndWait(h1);
  expect(await dockerOk(['wait', plain.name])).toBe('42');
  expect(await dockerOk(['wait', hog.name])).toBe('137');
  expect(await hog.inspect('.State.OOMKilled')).toBe(true);
  expect(await plain.inspect('.State.OOMKilled')).toBe(false);
  const finished = Date.parse(await plain.inspect('.State.FinishedAt'));
  // When the program itself said it was, not when the agent came back.
  expect(Math.abs(finished / 1000 - Number(await dockerOk(['logs', plain.name])))).toBeLessThan(2);
});

test(`F15: ${LINES} lines written while the agent is away are all there, and the container did not wait`, async () => {
  const script = `i=0; while [ $i -lt ${LINES} ]; do i=$((i+1)); echo line $i; done; touch /tmp/done; sleep 600`;
  const options = ['--log-opt', 'max-size=100m'];
  await using container = await runOn(h3, options, ['sh', '-c', script]);
  const pid = await container.inspect<number>('.State.Pid');
  // Stopped, not killed: its supervisor would start it again at once.
  const agent = pidOf(h3);
  process.kill(agent, 'SIGSTOP');
  try {
    await new Promise((resolve) => setTimeout(resolve, AWAY_MS));
    const done = () => existsSync(`/proc/${pid}/root/tmp/done`);
    await until('the container to be done', async () => done(), 120_000);
  } finally {
    process.kill(agent, 'SIGCONT');
  }
  await killAndWait(h3);
  const output = await dockerOk(['logs', container.name], { timeoutMs: 120_000 });
  const numbers = output.split('\n').map((line) => Number(line.slice(5)));
  expect(numbers.length).toBe(LINES);
  expect(isUnbroken(numbers)).toBe(true);
});

test('F16: a killed supervisor takes its container along; what it was is known; its policy runs', async () => {
  await using mortal = await runOn(h1, [], ['sleep', '600']);
  await using back = await runOn(h1, ['--restart', 'on-failure'], ['sleep', '600']);
  for (const container of [mortal, back]) {
    const pid = await container.inspect<number>('.State.Pid');
    const supervisor = Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
    process.kill(supervisor, 'SIGKILL');
    await until('the process to be gone', async () => !alive(pid));
  }
  expect(await dockerOk(['wait', mortal.name])).toBe('137');
  expect(await mortal.inspect('.State.Error')).toContain('supervisor');
  await until(
    'the other to run again',
    async () => (await back.inspect<number>('.RestartCount')) > 0 && (await back.inspect<boolean>('.State.Running')),
  );
  expect((await docker(['exec', back.name, 'true'])).code).toBe(0);
});

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

import { spawn } from 'node:child_process';
import { createReadStream, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { docker, dockerHost, dockerOk } from './lib/docker.ts';
import { killAndWait } from './lib/services.ts';
import { UnsteadySocket } from './lib/unsteady-socket.ts';
import { until } from './lib/until.ts';
import { atollCall, atollOk, copiesOf, TestVolume, unfinished } from './lib/volumes.ts';

const ATOLL = join(import.meta.dirname, '../atoll');
const MEGA = 1 << 20;
const [h1 = '', h2 = ''] = inject('hosts');

let folder: string;
let archive: string;
let size: number;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'atoll-e2e-restores-'));
  archive = join(folder, 'archive.tar');
  await using volume = new TestVolume();
  await volume.sh('dd if=/dev/urandom of=/v/f bs=1M count=60 2>/dev/null; sha256sum /v/f >/v/sum', h1);
  await atollOk('volume', 'backup', volume.name, '-o', archive);
  size = statSync(archive).size;
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(async () => {
  await until('nothing to be under way', async () => unfinished().length === 0);
});

/** A restore of the archive over a link; `said` is what it has told on stderr so far. */
function restore(link: UnsteadySocket, volume: TestVolume, from: readonly string[] = ['-i', archive]) {
  const args = ['volume', 'restore', '--name', link.name, '--data-root', inject('dataRoot'), volume.name, '--host', h2];
  const child = spawn(ATOLL, [...args, ...from], { stdio: ['pipe', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (part: Buffer) => {
    said += part.toString();
  });
  child.stdin.on('error', () => undefined);
  if (from.length === 0) createReadStream(archive).pipe(child.stdin);
  else child.stdin.end();
  const code = new Promise<number | null>((resolve) => child.once('close', resolve));
  return { child, code, said: () => said };
}

const behind = (said: string): number[] =>
  [...said.matchAll(/going on behind (\d+) bytes/g)].map((at) => Number(at[1]));
const isWhole = async (volume: TestVolume): Promise<void> => {
  await volume.sh('cd /; sha256sum -c /v/sum');
  expect(copiesOf(volume.name)).toEqual([h2]);
};
/** Bytes that are unpacked of what is under way. */
const unpacked = (): number =>
  unfinished().reduce((sum, one) => {
    const [host = '', operation = ''] = one.split('/');
    const file = join(inject('dataRoot'), 'hosts', host, 'volume-copies', operation, 'whole/data/f');
    return sum + (existsSync(file) ? statSync(file).size : 0);
  }, 0);

describe('a restore', () => {
  test.each([
    ['as a new volume', []],
    ['in place of the files of another one', ['--force']],
  ])('%s, over a link that breaks again and again, goes on where it was', async (_name, more) => {
    await using link = await UnsteadySocket.open();
    await using volume = new TestVolume();
    if (more.length > 0) await volume.sh('echo old >/v/old', h2);
    link.breakAfter(20 * MEGA, 15 * MEGA, 10 * MEGA);
    const { code, said } = restore(link, volume, ['-i', archive, ...more]);
    expect(await code, said()).toBe(0);
    expect(link.broken).toBe(3);
    const offsets = behind(said());
    expect(offsets).toHaveLength(3);
    expect(offsets).toEqual(offsets.toSorted((a, b) => a - b));
    expect(offsets[0]).toBeGreaterThan(MEGA);
    expect(said()).not.toContain('begins anew');
    // What was on its way when the link broke is all that went twice.
    expect(link.sent).toBeLessThan(size + 3 * 8 * MEGA);
    await isWhole(volume);
    expect(await volume.sh('ls /v')).toBe('f\nsum');
  });

  test.each([
    ['gateway', 'goes on behind'],
    ['scheduler', 'begins anew'],
    [h2, 'begins anew'],
  ])('%s killed in its middle: it %s', async (part, how) => {
    await using link = await UnsteadySocket.open();
    await using volume = new TestVolume();
    link.standStillAfter(30 * MEGA);
    const { code, said } = restore(link, volume);
    await until('some of it to be there', async () => unpacked() > 10 * MEGA);
    await killAndWait(part);
    expect(await code, said()).toBe(0);
    expect(behind(said()).length > 0).toBe(how === 'goes on behind');
    expect(said().includes('begins anew')).toBe(how === 'begins anew');
    await isWhole(volume);
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('interrupted (%s) leaves nothing, and the name is free', async (signal) => {
    await using link = await UnsteadySocket.open();
    await using volume = new TestVolume();
    link.standStillAfter(30 * MEGA);
    const { child, code, said } = restore(link, volume);
    await until('some of it to be there', async () => unpacked() > 10 * MEGA);
    child.kill(signal);
    expect(await code, said()).toBe(130);
    expect(unfinished()).toEqual([]);
    expect(copiesOf(volume.name)).toEqual([]);
    await dockerOk(['volume', 'create', volume.name]);
  });

  test('from a pipe cannot go on: it says so, and nothing is left', async () => {
    await using link = await UnsteadySocket.open();
    await using volume = new TestVolume();
    link.breakAfter(30 * MEGA);
    const { code, said } = restore(link, volume, []);
    expect(await code).toBe(1);
    expect(said()).toMatch(/pipe cannot be read again: give -i FILE/);
    await until('nothing to be under way', async () => unfinished().length === 0);
    await until('the name to be free', async () => (await docker(['volume', 'create', volume.name])).code === 0);
  });
});

describe('one whose client is gone', () => {
  const call = (method: string, volume: string, query: object): Promise<{ status: number; text: string }> =>
    new Promise((resolve, reject) => {
      const path = `/v1.44/atoll/volumes/${volume}/restore?${new URLSearchParams({ ...query })}`;
      const outgoing = request({ socketPath: dockerHost().replace('unix://', ''), method, path }, (response) => {
        let text = '';
        response.on('data', (part) => (text += String(part)));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      });
      outgoing.on('error', reject);
      outgoing.end(method === 'POST' ? 'x' : undefined);
    });

  /** Sends some of the archive, and is gone. */
  async function begin(volume: string, id: string): Promise<void> {
    const path = `/v1.44/atoll/volumes/${volume}/restore?id=${id}`;
    const outgoing = request({ socketPath: dockerHost().replace('unix://', ''), method: 'POST', path });
    outgoing.on('error', () => undefined);
    createReadStream(archive, { end: 20 * MEGA }).pipe(outgoing, { end: false });
    await until('some of it to be there', async () => unpacked() > 10 * MEGA);
    outgoing.destroy();
  }

  test('keeps its name, is not disturbed by others, and can be given up', async () => {
    await using volume = new TestVolume();
    const id = 'a1'.repeat(16);
    await begin(volume.name, id);
    const { Offset } = JSON.parse((await call('GET', volume.name, { id })).text) as { Offset: number };
    expect(Offset).toBeGreaterThan(10 * MEGA);
    const other = 'b2'.repeat(16);
    const cases: [string, string, object, number, RegExp][] = [
      ['another id', 'GET', { id: other }, 404, /begin anew/],
      ['another id', 'DELETE', { id: other }, 404, /begin anew/],
      ['bytes for another id', 'POST', { id: other, offset: Offset }, 404, /begin anew/],
      ['another volume', 'GET', { id, volume: 'other' }, 404, /begin anew/],
      ['bytes behind others', 'POST', { id, offset: Offset + 1 }, 416, /bytes of the archive are here/],
      ['all of it', 'POST', { id, offset: 0 }, 416, /bytes of the archive are here/],
      ['a new one', 'POST', { id: other }, 409, /being made/],
      ['a new one without id', 'POST', {}, 409, /being made/],
      ['the same one anew', 'POST', { id }, 409, /in use|being made/],
      ['no id', 'GET', {}, 400, /id/],
      ['an id that is none', 'GET', { id: 'ABC' }, 400, /32 hex digits/],
      ['an id that is none', 'POST', { id: '../x' }, 400, /32 hex digits/],
      ['an offset without id', 'POST', { offset: 5 }, 400, /id/],
      ['an offset below 0', 'POST', { id, offset: -1 }, 400, /offset/],
      ['an offset that is none', 'POST', { id, offset: 'x' }, 400, /offset/],
    ];
    for (const [name, method, { volume: where = volume.name, ...query }, status, words] of cases as [
      string,
      string,
      Record<string, string>,
      number,
      RegExp,
    ][]) {
      const answer = await call(method, where, query);
      expect(answer, `${method} ${name}`).toEqual({ status, text: expect.stringMatching(words) });
    }
    expect((await docker(['volume', 'rm', volume.name])).stderr).toContain('being made');
    expect((await docker(['volume', 'create', volume.name])).stderr).toContain('being made');
    const again = await atollCall('volume', 'restore', volume.name, '-i', archive);
    expect(again.stderr).toContain('being made');
    expect(JSON.parse((await call('GET', volume.name, { id })).text)).toEqual({ Done: false, Offset });
    expect((await call('DELETE', volume.name, { id })).status).toBe(204);
    expect(unfinished()).toEqual([]);
    await dockerOk(['volume', 'create', volume.name]);
    expect(readdirSync(folder)).toEqual(['archive.tar']);
  });
});

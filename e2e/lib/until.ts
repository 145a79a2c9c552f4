import { setTimeout as sleep } from 'node:timers/promises';

/** Asks again until `check` answers true; throws after the limit (20 s unless told), naming what it waited for. */
export async function until(what: string, check: () => Promise<boolean>, limitMs = 20_000): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`waited ${limitMs} ms for ${what}`);
    await sleep(50);
  }
}

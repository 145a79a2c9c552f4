/**
 * Each side works for as long before it is measured: what counts is a daemon that has been up for a while. By operations it
 * would not be alike: ten seconds are some 30 starts of a slow engine, all it needs, and some 300 of a fast one.
 */
const WARM_UP_MS = 10_000;

/** Repeats the operation until its engine is warm; gives the time of the first one in ms. */
export async function warmUp(once: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await once();
  const first = performance.now() - start;
  while (performance.now() - start < WARM_UP_MS) await once();
  return first;
}

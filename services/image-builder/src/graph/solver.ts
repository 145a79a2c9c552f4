import type { StageGraph } from './stage-graph.ts';

/** Does the work of one stage. `need` gives the result of an earlier stage, waiting for it. */
export type StageWork<R> = (index: number, need: (index: number) => Promise<R>) => Promise<R>;

/**
 * Runs the stages the target needs, each once, all that are independent at the same time (`work` bounds what really happens).
 * The first failure aborts `abort` and is thrown once every stage has come to rest; of several, the one of the earliest stage.
 */
export async function solve<R>(graph: StageGraph, work: StageWork<R>, abort: AbortController): Promise<R> {
  const runs = new Map<number, Promise<R>>();
  const failures = new Map<number, unknown>();
  const start = (index: number): Promise<R> => {
    const known = runs.get(index);
    if (known) return known;
    const need = (other: number): Promise<R> => start(other);
    const run = work(index, need).catch((error: unknown) => {
      // What fails because another stage failed carries that one's error: only the first counts.
      if (!abort.signal.aborted) {
        failures.set(index, error);
        abort.abort(error);
      }
      throw error;
    });
    runs.set(index, run);
    return run;
  };
  for (const index of graph.needed) start(index).catch(() => undefined);
  let settled = 0;
  while (settled < runs.size) {
    settled = runs.size;
    await Promise.allSettled(runs.values());
  }
  const [first] = [...failures].sort(([a], [b]) => a - b);
  if (first) throw first[1];
  return await start(graph.target);
}

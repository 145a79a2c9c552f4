import { internal, invalidArgument } from '@atoll/errors';
import { runTool } from '../processes/run-tool.ts';

export interface ProcessTable {
  readonly titles: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/**
 * `ps` of the host with the given arguments (`-ef` when empty), only the rows of these processes. They are asked for by number, or ps
 * would leave out those of other users than the agent's; some arguments do not go with that, and are then tried without, as by docker.
 */
export async function processList(args: string, pids: readonly number[]): Promise<ProcessTable> {
  const list = args.trim() === '' ? ['-ef'] : args.trim().split(/\s+/);
  const text = await runTool('ps', [...list, `-q${pids.join(',')}`])
    .catch(() => runTool('ps', list))
    .catch((cause: unknown) => {
      throw invalidArgument(`ps: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    });
  return parseProcessList(text, new Set(pids));
}

/** Throws internal when there is no PID column: the rows could be anybody's. */
export function parseProcessList(text: string, pids: ReadonlySet<number>): ProcessTable {
  const [head = '', ...lines] = text.split('\n');
  const titles = head.trim().split(/\s+/);
  const column = titles.indexOf('PID');
  if (column < 0) throw internal("Couldn't find PID field in ps output");
  const rows = lines.flatMap((line): string[][] => {
    const fields = line.trim().split(/\s+/);
    if (!pids.has(Number(fields[column]))) return [];
    // The last column, the command, may hold spaces.
    return [[...fields.slice(0, titles.length - 1), fields.slice(titles.length - 1).join(' ')]];
  });
  return { titles, rows };
}

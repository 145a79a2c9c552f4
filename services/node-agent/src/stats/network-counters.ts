import { readFile } from 'node:fs/promises';
import type { runtimeV1 } from '@atoll/proto';

/** Counters of the links a process sees, without loopback (proc_pid_net(5), /proc/pid/net/dev). Empty when it has gone. */
export async function networkCounters(pid: number): Promise<Record<string, runtimeV1.NetworkStats>> {
  if (pid === 0) return {};
  return parseNetworkCounters(await readFile(`/proc/${pid}/net/dev`, 'utf8').catch(() => ''));
}

export function parseNetworkCounters(text: string): Record<string, runtimeV1.NetworkStats> {
  return Object.fromEntries(
    text.split('\n').flatMap((line): [string, runtimeV1.NetworkStats][] => {
      const match = /^\s*([^:\s]+):\s*(.*)$/.exec(line);
      if (!match || match[1] === 'lo') return [];
      const values = (match[2] as string).trim().split(/\s+/).map(BigInt);
      const [rxBytes = 0n, rxPackets = 0n, rxErrors = 0n, rxDropped = 0n] = values;
      const [txBytes = 0n, txPackets = 0n, txErrors = 0n, txDropped = 0n] = values.slice(8);
      const counters = { rxBytes, rxPackets, rxErrors, rxDropped, txBytes, txPackets, txErrors, txDropped };
      return [[match[1] as string, counters]];
    }),
  );
}

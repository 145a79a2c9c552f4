import { readFileSync } from 'node:fs';
import type { AtollEngine } from './atoll-engine.ts';
import { type Place, within } from './throughput.ts';

/** Options of `docker run` for a host. */
export function on(host: string): string[] {
  return ['-l', `atoll.constraints=node.hostname==${host}`];
}

/** Its network namespace. */
export function hostPlace(atoll: AtollEngine, host: string): Place {
  const state = JSON.parse(readFileSync(`${atoll.runDir}/state.json`, 'utf8')) as {
    services: { name: string; process: { pid: number } }[];
  };
  const pid = state.services.find(({ name }) => name === `agent ${host}`)?.process.pid;
  return { prefix: ['nsenter', '-n', '-t', String(pid)] };
}

/** The address other hosts and the machine reach it at. */
export function hostAddress(atoll: AtollEngine, host: string): string {
  const routes = JSON.parse(within(hostPlace(atoll, host), 'ip', '-j', 'route', 'get', '10.219.253.1')) as {
    prefsrc: string;
  }[];
  return routes[0]?.prefsrc ?? '';
}

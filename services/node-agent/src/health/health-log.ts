import type { runtimeV1 } from '@atoll/proto';

/** One probe; `exitCode` -1 when it did not end by itself or could not be run. */
export type ProbeResult = runtimeV1.HealthProbe;

/** Docker keeps as many. */
const ENTRIES = 5;
const OUTPUT_BYTES = 4_096;

/** What the last probes of a container found. In memory only: a probe costs no write. */
export class HealthLog {
  #failures = 0;
  #entries: readonly ProbeResult[] = [];

  /** A new run begins; what was found before stays to be read, as in docker. */
  begin(): void {
    this.#failures = 0;
  }

  /** `failures` is the number of failures in a row that count. */
  add(result: ProbeResult, failures: number): void {
    this.#failures = failures;
    this.#entries = [...this.#entries, result].slice(-ENTRIES);
  }

  toWire(): runtimeV1.Health {
    return { failingStreak: this.#failures, log: [...this.#entries] };
  }
}

export interface ProbeOutput {
  add(data: Uint8Array): void;
  /** The beginning of what was written, with docker's three dots when there was more; after a problem, if there is one. */
  text(problem: string): string;
}

/** Keeps the first bytes of a probe's output and lets the rest go. */
export function probeOutput(): ProbeOutput {
  const kept: Uint8Array[] = [];
  let room = OUTPUT_BYTES;
  let cut = false;
  return {
    add: (data) => {
      cut ||= data.length > room;
      if (room === 0) return;
      kept.push(data.subarray(0, room));
      room -= Math.min(room, data.length);
    },
    text: (problem) => {
      const written = new TextDecoder().decode(Buffer.concat(kept)) + (cut ? '...' : '');
      return problem === '' || written === '' ? problem + written : `${problem}: ${written}`;
    },
  };
}

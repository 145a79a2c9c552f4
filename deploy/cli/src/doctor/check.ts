/** `missing`: Atoll cannot run. `advice`: it can, with what the text says. */
export type CheckLevel = 'ok' | 'advice' | 'missing';

/** One finding about this machine. */
export interface Check {
  readonly what: string;
  readonly level: CheckLevel;
  /** What was found. */
  readonly found: string;
  /** What to do; for those that are not ok. */
  readonly fix?: string;
}

export function ok(what: string, found: string): Check {
  return { what, level: 'ok', found };
}

export function missing(what: string, found: string, fix: string): Check {
  return { what, level: 'missing', found, fix };
}

export function advice(what: string, found: string, fix: string): Check {
  return { what, level: 'advice', found, fix };
}

/** Compares dotted versions by number. */
export function atLeast(version: string, wanted: string): boolean {
  const [have, need] = [version, wanted].map((text) => text.split('.').map((part) => Number.parseInt(part, 10) || 0));
  for (const [n, number] of (need ?? []).entries()) {
    const difference = (have?.[n] ?? 0) - number;
    if (difference !== 0) return difference > 0;
  }
  return true;
}

// biome-ignore format: a table; numbers of Linux on amd64 and arm64
const NUMBERS: ReadonlyMap<string, number> = new Map([
  ['HUP', 1], ['INT', 2], ['QUIT', 3], ['ILL', 4], ['TRAP', 5], ['ABRT', 6], ['IOT', 6], ['BUS', 7], ['FPE', 8],
  ['KILL', 9], ['USR1', 10], ['SEGV', 11], ['USR2', 12], ['PIPE', 13], ['ALRM', 14], ['TERM', 15], ['STKFLT', 16],
  ['CHLD', 17], ['CLD', 17], ['CONT', 18], ['STOP', 19], ['TSTP', 20], ['TTIN', 21], ['TTOU', 22], ['URG', 23],
  ['XCPU', 24], ['XFSZ', 25], ['VTALRM', 26], ['PROF', 27], ['WINCH', 28], ['IO', 29], ['POLL', 29], ['PWR', 30],
  ['SYS', 31], ['RTMIN', 34], ['RTMAX', 64],
]);

/** Number of a signal given as docker takes it: `9`, `KILL`, `SIGKILL`, `RTMIN+3`. Undefined when there is none. */
export function signalNumber(text: string): number | undefined {
  if (/^\d+$/.test(text)) return Number(text) >= 1 && Number(text) <= 64 ? Number(text) : undefined;
  const name = text.toUpperCase().replace(/^SIG/, '');
  const realtime = /^RT(MIN\+|MAX-)(\d{1,2})$/.exec(name);
  if (realtime !== null) {
    const offset = Number(realtime[2]);
    return offset > 30 ? undefined : realtime[1] === 'MIN+' ? 34 + offset : 64 - offset;
  }
  return NUMBERS.get(name);
}

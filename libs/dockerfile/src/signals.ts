/** Linux's signals by name (signal(7)). */
const NAMES = new Set(
  (
    'ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP ' +
    'TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX'
  ).split(' '),
);

/** Docker's check of STOPSIGNAL: a number from 1 to 64 or a name with or without SIG, RTMIN+n and RTMAX-n included. */
export function isSignal(text: string): boolean {
  if (/^\d{1,3}$/.test(text)) return Number(text) >= 1 && Number(text) <= 64;
  const name = text.toUpperCase().replace(/^SIG/, '');
  const real = /^RT(MIN\+|MAX-)(\d{1,2})$/.exec(name);
  return real ? Number(real[2]) <= (real[1] === 'MIN+' ? 15 : 14) : NAMES.has(name);
}

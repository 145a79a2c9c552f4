const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** `512 MiB`, `1.5 GiB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${shortened(value)} ${UNITS[unit]}`;
}

/** `0.5 CPUs`, `1 CPU`. */
export function formatCpus(nanoCpus: number): string {
  const text = shortened(nanoCpus / 1e9);
  return `${text} ${text === '1' ? 'CPU' : 'CPUs'}`;
}

function shortened(value: number): string {
  return String(Math.round(value * 100) / 100);
}

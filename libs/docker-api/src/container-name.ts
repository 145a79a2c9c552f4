// biome-ignore format: word lists
const ADJECTIVES = [
  'amber', 'bold', 'brave', 'breezy', 'bright', 'brisk', 'calm', 'candid', 'careful', 'cheerful', 'clear', 'clever',
  'coral', 'cosy', 'curious', 'daring', 'deep', 'eager', 'early', 'easy', 'fair', 'fearless', 'fine', 'fleet', 'fluent',
  'fond', 'free', 'fresh', 'gentle', 'glad', 'golden', 'grand', 'happy', 'hardy', 'honest', 'humble', 'keen', 'kind',
  'light', 'lively', 'loyal', 'lucid', 'lucky', 'mellow', 'merry', 'mild', 'neat', 'nimble', 'noble', 'patient', 'placid',
  'plucky', 'polite', 'proud', 'quick', 'quiet', 'ready', 'robust', 'salty', 'serene', 'sharp', 'shiny', 'silent',
  'silver', 'smooth', 'snug', 'sober', 'steady', 'sunny', 'swift', 'tame', 'tidal', 'tidy', 'tranquil', 'trusty',
  'upbeat', 'vivid', 'warm', 'wise', 'witty',
] as const;

// biome-ignore format: word lists
const SURNAMES = [
  'abel', 'agnesi', 'amundsen', 'avogadro', 'babbage', 'banach', 'barents', 'beaufort', 'bering', 'bernoulli', 'borlaug',
  'boyle', 'cabral', 'cartan', 'carson', 'cauchy', 'celsius', 'clarke', 'cook', 'cousteau', 'curie', 'darwin', 'dias',
  'dijkstra', 'dirac', 'doppler', 'earle', 'eratosthenes', 'euler', 'faraday', 'fermat', 'fourier', 'fuchs', 'galois',
  'gauss', 'germain', 'goeppert', 'halley', 'hamilton', 'henson', 'herschel', 'hilbert', 'hopper', 'humboldt', 'hypatia',
  'joule', 'kelvin', 'kepler', 'knuth', 'lagrange', 'lamarr', 'leibniz', 'linnaeus', 'lovelace', 'magellan', 'maury',
  'maxwell', 'meitner', 'mendel', 'mercator', 'nansen', 'nightingale', 'noether', 'ohm', 'pascal', 'piccard', 'planck',
  'ramanujan', 'ross', 'shackleton', 'shannon', 'tasman', 'tharp', 'torres', 'turing', 'volta', 'wallace', 'wegener',
] as const;

/**
 * A name for a container whose user gave none, `adjective_surname`.
 * @param random a number in [0, 1), fresh each call
 * @param attempt from the second on a digit is appended, as docker does after collisions
 */
export function randomContainerName(random: () => number, attempt = 0): string {
  const pick = <T>(words: readonly T[]): T => words[Math.floor(random() * words.length)] as T;
  const name = `${pick(ADJECTIVES)}_${pick(SURNAMES)}`;
  return attempt === 0 ? name : `${name}${Math.floor(random() * 10 ** Math.min(attempt, 6))}`;
}

const NAME = /^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** Docker's rule for names: at least two characters of [a-zA-Z0-9_.-], the first a letter or digit. */
export function isContainerName(name: string): boolean {
  return NAME.test(name) && name.length <= 256;
}

/** Driver options of macvlan networks: the interface of the host their links are on, and who hears whom of those that share it. */
export const MACVLAN_PARENT = 'parent';
export const MACVLAN_MODE = 'macvlan_mode';
export const MACVLAN_MODES = ['bridge', 'private', 'vepa', 'passthru'] as const;
export type MacvlanMode = (typeof MACVLAN_MODES)[number];

export interface Macvlan {
  readonly parent: string;
  readonly mode: MacvlanMode;
}

/** How a network's links are made on an interface of the host; undefined for a network of another driver, or with options it cannot have. */
export function macvlanOf(network: {
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
}): Macvlan | undefined {
  if (network.driver !== 'macvlan') return undefined;
  const parent = network.options[MACVLAN_PARENT] ?? '';
  const asked = network.options[MACVLAN_MODE] || 'bridge';
  const mode = MACVLAN_MODES.find((name) => name === asked);
  return mode && isInterfaceName(parent) ? { parent, mode } : undefined;
}

/** What Linux takes for the name of a network interface. */
export function isInterfaceName(text: string): boolean {
  return /^[^\s/:\p{Cc}]+$/u.test(text) && Buffer.byteLength(text) <= 15 && text !== '.' && text !== '..';
}

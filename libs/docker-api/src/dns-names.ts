const SHORT_ID = 12;

/** The names a container is found by in a network, as docker has them: its name, aliases, the short id, its host name. */
export function dnsNames(id: string, name: string, hostname: string, aliases: readonly string[]): string[] {
  return [...new Set([name, ...aliases, id.slice(0, SHORT_ID), hostname].filter((text) => text !== ''))];
}

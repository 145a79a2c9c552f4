/** What a registry wants to see (RFC 9110 section 11.6.1; the Bearer parameters are docker's token specification). */
export type Challenge =
  | { readonly scheme: 'basic' }
  | { readonly scheme: 'bearer'; readonly realm: string; readonly service: string; readonly scope: string };

/** Reads a WWW-Authenticate header; the first scheme we know counts. Undefined for none. */
export function parseChallenge(header: string | null): Challenge | undefined {
  if (header === null || header.length > 8_192) return undefined;
  const bearer = /(?:^|,\s*)bearer\s+(.*)$/i.exec(header);
  if (bearer !== null) {
    const parameters = new Map<string, string>();
    for (const [, name = '', value = ''] of (bearer[1] ?? '').matchAll(/([a-z]+)="([^"]*)"/gi)) {
      if (!parameters.has(name.toLowerCase())) parameters.set(name.toLowerCase(), value);
    }
    const realm = parameters.get('realm');
    if (realm === undefined) return undefined;
    return { scheme: 'bearer', realm, service: parameters.get('service') ?? '', scope: parameters.get('scope') ?? '' };
  }
  return /(?:^|,\s*)basic(?:\s|$)/i.test(header) ? { scheme: 'basic' } : undefined;
}

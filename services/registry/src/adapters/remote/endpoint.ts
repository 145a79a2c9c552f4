import type { ImageReference } from '@atoll/reference';

/** Where a registry name is served. */
export interface Endpoint {
  /** Without a slash at its end. */
  readonly url: string;
  /** Stands in for the registry: it does not get the registry's credentials. */
  readonly mirror: boolean;
}

export interface EndpointOptions {
  /** Registry name to URL; a mirror takes the registry's place. */
  readonly mirrors: Readonly<Record<string, string>>;
  /** Registry names that speak plain HTTP. */
  readonly insecure: readonly string[];
}

/** As docker: https, plain HTTP for this machine and for registries called insecure. */
export function endpointOf({ domain }: ImageReference, options: EndpointOptions): Endpoint {
  const mirror = Object.hasOwn(options.mirrors, domain) ? options.mirrors[domain] : undefined;
  if (mirror !== undefined) return { url: mirror.replace(/\/+$/, ''), mirror: true };
  if (domain === 'docker.io') return { url: 'https://registry-1.docker.io', mirror: false };
  const host = domain.replace(/:\d+$/, '');
  const local = host === 'localhost' || /^127\./.test(host) || host === '[::1]';
  return { url: `${local || options.insecure.includes(domain) ? 'http' : 'https'}://${domain}`, mirror: false };
}

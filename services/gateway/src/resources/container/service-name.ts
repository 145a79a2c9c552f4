import { invalidArgument } from '@atoll/errors';

/** Label that says which service a container belongs to, in the networks of users it is in. */
export const SERVICE_LABEL = 'atoll.service';

const DNS_LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * As a user has given it: what an image says about itself puts no container behind a service's address.
 * @param mode network mode of the container, by id where it joins another one's network
 * @throws invalid-argument naming the label
 */
export function serviceNameOf(labels: Readonly<Record<string, string>> | null | undefined, mode: string): string {
  const name = labels?.[SERVICE_LABEL];
  if (name === undefined) return '';
  if (!DNS_LABEL.test(name)) {
    throw invalidArgument(
      `invalid value for label ${SERVICE_LABEL}: ${JSON.stringify(name)}, want 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends`,
    );
  }
  if (mode === 'host' || mode === 'none' || mode.startsWith('container:')) {
    throw invalidArgument(
      `label ${SERVICE_LABEL}: with network mode ${mode} a container is in no network of its own where a service could be found; connect it to a network, or leave the label out`,
    );
  }
  return name;
}

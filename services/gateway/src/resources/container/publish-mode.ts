import { invalidArgument } from '@atoll/errors';

/** Label that says where a container's ports are published, in the words of services. */
export const PUBLISH_LABEL = 'atoll.publish';

/** `ingress` on every host, `host` on the container's own. */
export type PublishMode = 'ingress' | 'host';

/** As a user has given it: what an image says about itself opens no ports. @throws invalid-argument */
export function publishModeOf(labels: Readonly<Record<string, string>> | null | undefined): PublishMode {
  return parsePublishMode(labels?.[PUBLISH_LABEL] ?? '', `label ${PUBLISH_LABEL}`);
}

/** Empty is `ingress`. @throws invalid-argument naming `field` */
export function parsePublishMode(text: string, field: string): PublishMode {
  if (text === '' || text === 'ingress') return 'ingress';
  if (text === 'host') return 'host';
  throw invalidArgument(`invalid value for ${field}: "${text}", want ingress or host`);
}

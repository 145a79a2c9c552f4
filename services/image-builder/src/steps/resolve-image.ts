import { notFound } from '@atoll/errors';
import type { imageV1 } from '@atoll/proto';
import { parseReference } from '@atoll/reference';
import type { BuildOutput } from '../progress/build-output.ts';
import type { BuildSession } from './build-session.ts';

/** Docker's keys for the credentials of its own registry. */
const DOCKER_HUB = ['https://index.docker.io/v1/', 'index.docker.io', 'docker.io', 'registry-1.docker.io'];

/** An image for FROM or --from: the store's, pulled when it is absent or when the build asks for fresh ones. */
export async function resolveImage(
  session: BuildSession,
  reference: string,
  output: BuildOutput,
): Promise<imageV1.Image> {
  const { images, options, signal, platform } = session;
  const present = options.pull ? undefined : await images.find(reference, signal);
  if (present) return present;
  const { domain } = parseReference(reference);
  await images.pull(
    reference,
    {
      auth: credentials(options.auths, domain),
      platform: `${platform.os}/${platform.architecture}`,
      onProgress: (progress) => output.progress(progress),
    },
    signal,
  );
  const pulled = await images.find(reference, signal);
  if (!pulled) throw notFound(`no such image: ${reference}: it was pulled and is gone again; try once more`);
  return pulled;
}

function credentials(
  auths: Readonly<Record<string, imageV1.RegistryAuth>>,
  domain: string,
): imageV1.RegistryAuth | undefined {
  const names = domain === 'docker.io' ? DOCKER_HUB : [domain, `https://${domain}`, `http://${domain}`];
  const name = names.find((candidate) => Object.hasOwn(auths, candidate));
  return name === undefined ? undefined : auths[name];
}

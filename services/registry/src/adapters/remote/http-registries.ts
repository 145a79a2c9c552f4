import type { ImageReference } from '@atoll/reference';
import type {
  RegistryCredentials,
  RemoteRegistries,
  RemoteSource,
  RemoteTarget,
} from '../../domain/remote/remote-repository.ts';
import { Authenticator } from './authenticator.ts';
import { type EndpointOptions, endpointOf } from './endpoint.ts';
import { HttpRepository } from './http-repository.ts';

/** Other registries over HTTP, through mirrors where there are any. */
export class HttpRegistries implements RemoteRegistries {
  readonly #options: EndpointOptions;

  constructor(options: EndpointOptions) {
    this.#options = options;
  }

  async open(
    reference: ImageReference,
    access: 'pull' | 'push',
    credentials: RegistryCredentials | undefined,
    signal: AbortSignal,
  ): Promise<RemoteSource & RemoteTarget> {
    const { url, mirror } = endpointOf(reference, this.#options);
    const authenticator = new Authenticator({
      url,
      scope: `repository:${reference.path}:${access === 'push' ? 'pull,push' : 'pull'}`,
      credentials: mirror ? undefined : credentials,
    });
    return new HttpRepository(`${url}/v2/${reference.path}`, authenticator, signal);
  }
}

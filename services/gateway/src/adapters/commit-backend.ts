import { internal } from '@atoll/errors';
import { type containerV1, imageV1 } from '@atoll/proto';
import type { CommittedImage, ContainerCommits } from '../resources/container/backend.ts';
import type { ContainerView } from '../resources/container/container-view.ts';
import type { Agents } from './agents.ts';
import type { ClusterState } from './cluster-state.ts';
import type { ImageClient } from './image-backend.ts';

/** A layer is as large as the disk allows; it is read, compressed and sent. */
const CAPTURE_TIMEOUT_MS = 3_600_000;
const STORE_TIMEOUT_MS = 60_000;

/** Images of containers: the layer by the container's agent, the image by the store. */
export class CommitBackend implements ContainerCommits {
  readonly #state: ClusterState;
  readonly #agents: Agents;
  readonly #images: ImageClient;
  readonly #onNamed: () => void;

  /** @param onNamed called when names of images may mean others than before */
  constructor(state: ClusterState, agents: Agents, images: ImageClient, onNamed: () => void) {
    this.#state = state;
    this.#agents = agents;
    this.#images = images;
    this.#onNamed = onNamed;
  }

  async captureLayer(view: ContainerView, pause: boolean, signal: AbortSignal): Promise<containerV1.Layer | undefined> {
    const request = { containerId: view.record.id, pause };
    const answer = await this.#agents.of(view).commitLayer(request, { signal, timeoutMs: CAPTURE_TIMEOUT_MS });
    // Who reads next must not find it paused still.
    this.#state.applyStatus(answer.status);
    return answer.layer;
  }

  async storeImage({ config, layers, parent, tag }: CommittedImage, signal: AbortSignal): Promise<string> {
    const request = imageV1.CreateImageRequest.fromPartial({
      config,
      layers: [...layers],
      parent,
      tags: tag === '' ? [] : [tag],
    });
    const { image } = await this.#images.createImage(request, { signal, timeoutMs: STORE_TIMEOUT_MS });
    this.#onNamed();
    if (image === undefined) throw internal('the image store answered without an image');
    return image.id;
  }
}

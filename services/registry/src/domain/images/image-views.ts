import type { Digest } from '@atoll/reference';
import type { Documents } from '../manifests/documents.ts';
import type { ImageRecord } from '../records/records.ts';
import { type ImageView, viewImage } from './image-view.ts';

const VIEWS = 2_048;
/** Larger configs are read each time. */
const CONFIG_BYTES = 64 * 1024;

/** Images read and parsed before: what each `docker run` asks for. Content never changes, so only the record is compared. */
export class ImageViews {
  readonly #documents: Documents;
  readonly #views = new Map<Digest, ImageView>();

  constructor(documents: Documents) {
    this.#documents = documents;
  }

  async get(id: Digest, record: ImageRecord): Promise<ImageView> {
    const known = this.#views.get(id);
    if (known?.record.manifest === record.manifest) return { ...known, record };
    const view = await viewImage(this.#documents, id, record);
    if (view.configBytes.byteLength <= CONFIG_BYTES) this.#views.set(id, view);
    for (const oldest of this.#views.keys()) {
      if (this.#views.size <= VIEWS) break;
      this.#views.delete(oldest);
    }
    return view;
  }
}

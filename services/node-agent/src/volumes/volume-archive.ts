import { createHash } from 'node:crypto';
import { z } from 'zod';

const BLOCK = 512;
const MANIFEST = 'atoll-volume.json';
const DIGEST = 'atoll-digest';

/** The first member of a volume's archive. */
export interface VolumeManifest {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** When it was made; now if that is not given. The same tree with the same time gives the same bytes. */
  readonly created?: Date;
}

const STORED = z.object({ format: z.literal(1), labels: z.record(z.string(), z.string()).default({}) });

/**
 * An archive as docs/volumes.md describes it: a tar of the manifest, the tree, and the digest of all before. `tree` gives the first
 * two, the manifest's member being its argument. `settled` is called
 * when the tree has been read; what it throws fails the archive before its digest.
 */
export async function* volumeArchive(
  manifest: VolumeManifest,
  tree: (head: Buffer) => AsyncIterable<Uint8Array>,
  settled: () => Promise<void>,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  const { name, labels, created = new Date() } = manifest;
  const sorted = Object.fromEntries(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  const text = JSON.stringify({ format: 1, volume: name, created: created.toISOString(), labels: sorted });
  const first = member(MANIFEST, `${text}\n`, created);
  for await (const chunk of tree(first)) {
    hash.update(chunk);
    yield chunk;
  }
  await settled();
  yield Buffer.concat([member(DIGEST, `sha256:${hash.digest('hex')}\n`, created), Buffer.alloc(2 * BLOCK)]);
}

/** The labels a manifest has; none when it is of no format we know, for its files are whole all the same. */
export function labelsOf(manifest: string): Record<string, string> {
  try {
    return STORED.parse(JSON.parse(manifest)).labels;
  } catch {
    return {};
  }
}

/** A small file in ustar form. */
function member(name: string, content: string, time: Date): Buffer {
  const body = Buffer.from(content);
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, size: number): void => {
    block.write(value.toString(8).padStart(size - 1, '0'), at, 'latin1');
  };
  block.write(name, 0, 'latin1');
  octal(0o600, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(body.length, 124, 12);
  octal(Math.floor(time.getTime() / 1000), 136, 12);
  block.write('0', 156, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return Buffer.concat([block, body, Buffer.alloc(-body.length & (BLOCK - 1))]);
}

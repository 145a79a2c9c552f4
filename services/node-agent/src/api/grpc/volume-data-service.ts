import { invalidArgument, unavailable } from '@atoll/errors';
import type { volumeV1 } from '@atoll/proto';
import type { AllowTable, Handlers } from '@atoll/rpc';
import { labelsOf } from '../../volumes/volume-archive.ts';
import type { VolumeTransfer } from '../../volumes/volume-transfer.ts';

type Service = volumeV1.VolumeDataServiceService;

/** The gateway, for users it has let in; a node pulls only what the leader has granted it. */
export const VOLUME_DATA_SERVICE_ROLES: AllowTable<Service> = {
  readVolume: ['gateway'],
  pullVolume: ['node'],
  writeVolume: ['gateway'],
  suspendWrite: ['gateway'],
};

/** The files of this host's volumes. */
export function volumeDataService(transfer: VolumeTransfer): Handlers<Service> {
  return {
    readVolume: async function* (request, { signal }) {
      for await (const data of transfer.read(request, signal)) yield { data: bufferOf(data) };
    },
    pullVolume: async function* (requests, { peer, signal }) {
      for await (const data of transfer.sending.send(requests, peer, signal)) yield { data: bufferOf(data) };
    },
    writeVolume: async (requests, { signal }) => {
      const input = requests[Symbol.asyncIterator]();
      const first = await input.next();
      const message = first.done ? undefined : first.value.message;
      if (message?.$case !== 'start') throw invalidArgument('the first message of a volume must be its start');
      const unpacked = await transfer.receiving.write(message.value, dataOf(input, message.value.resumable), signal);
      return {
        sha256: unpacked.sha256,
        archiveBytes: BigInt(unpacked.archiveBytes),
        labels: labelsOf(unpacked.manifest),
      };
    },
    suspendWrite: async ({ operation }) => ({ offset: BigInt(await transfer.receiving.suspend(operation)) }),
  };
}

/** The same bytes. */
const bufferOf = (data: Uint8Array): Buffer =>
  Buffer.isBuffer(data) ? data : Buffer.from(data.buffer, data.byteOffset, data.byteLength);

/** Errors: unavailable when it ends without having said so, if that is to be told from a call that was cut. */
async function* dataOf(
  input: AsyncIterator<volumeV1.WriteVolumeRequest>,
  saysItsEnd: boolean,
): AsyncGenerator<Uint8Array> {
  for (;;) {
    const next = await input.next();
    if (next.done && saysItsEnd) throw unavailable('the call was cut before all of the archive had come');
    if (next.done || next.value.message?.$case === 'end') return;
    if (next.value.message?.$case === 'data') yield next.value.message.value;
  }
}

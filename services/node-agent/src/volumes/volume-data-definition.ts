import { volumeV1 } from '@atoll/proto';
import { withBytesAnswers } from '@atoll/rpc';

/** VolumeDataService, with its archives written to the wire and read from it without the generated code's copies. */
export const VOLUME_DATA_SERVICE = withBytesAnswers(volumeV1.VolumeDataServiceService, 'readVolume', 'pullVolume');

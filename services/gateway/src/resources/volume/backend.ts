import type { ContainerLookup } from '../container/backend.ts';

/** Volumes have no record of their own yet: the containers that use them are all that is known. */
export type VolumeBackend = Pick<ContainerLookup, 'list'>;

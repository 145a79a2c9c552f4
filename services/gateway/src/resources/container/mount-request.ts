import { z } from 'zod';
import { absentable, flag, integer, knownFields, text, textMap } from './lenient-object.ts';

const PROPAGATION = z.enum(['', 'private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave']);

/** One of HostConfig.Mounts. */
export const MOUNT = knownFields({
  Type: z.enum(['bind', 'volume', 'tmpfs', 'image', 'npipe', 'cluster']),
  Source: text,
  Target: text,
  ReadOnly: flag,
  // A hint for Docker Desktop's file sharing: means nothing on Linux, in docker as here.
  Consistency: absentable(z.enum(['', 'default', 'consistent', 'cached', 'delegated'])),
  BindOptions: absentable(
    knownFields({
      Propagation: absentable(PROPAGATION),
      NonRecursive: flag,
      CreateMountpoint: flag,
      ReadOnlyNonRecursive: flag,
      ReadOnlyForceRecursive: flag,
    }),
  ),
  VolumeOptions: absentable(
    knownFields({
      NoCopy: flag,
      Labels: textMap,
      Subpath: text,
      DriverConfig: absentable(knownFields({ Name: absentable(z.enum(['', 'local'])), Options: textMap })),
    }),
  ),
  ImageOptions: absentable(knownFields({ Subpath: text })),
  TmpfsOptions: absentable(
    knownFields({ SizeBytes: integer, Mode: integer, Options: absentable(z.array(z.array(z.string()))) }),
  ),
});

export type MountRequest = z.output<typeof MOUNT>;

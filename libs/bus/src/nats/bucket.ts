import { failedPrecondition, unavailable } from '@atoll/errors';
import {
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
  type StreamInfo,
} from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import type { Bus } from './connection.ts';
import { untilLost } from './until-lost.ts';

/** A key-value bucket in JetStream's own layout (stream `KV_<name>`, subjects `$KV.<name>.<key>`), so that the `nats` tool reads it. */
export interface BucketSpec {
  readonly name: string;
  readonly storage: 'file' | 'memory';
  /** 1, or 3 in a NATS cluster of three. */
  readonly replicas: number;
}

export const OPERATION_HEADER = 'KV-Operation';

export function streamOf(bucket: string): string {
  return `KV_${bucket}`;
}

export function subjectOf(bucket: string, key: string): string {
  return `$KV.${bucket}.${key}`;
}

export function keyOf(bucket: string, subject: string): string {
  return subject.slice(`$KV.${bucket}.`.length);
}

/** The bucket's stream, or undefined when the server says it has none. */
export async function findBucket(bus: Bus, name: string): Promise<StreamInfo | undefined> {
  try {
    return await untilLost(bus, bus.manager.streams.info(streamOf(name)));
  } catch (error) {
    if (isStreamMissing(error)) return undefined;
    throw unavailable(`the state bucket ${name} does not answer`, { cause: error });
  }
}

/**
 * Makes the bucket when there is none; an existing one is left as it is.
 * Errors: failed-precondition when one of that name has another storage, unavailable when the server does not answer.
 */
export async function ensureBucket(bus: Bus, spec: BucketSpec): Promise<StreamInfo> {
  const found = await findBucket(bus, spec.name);
  if (found) return checked(found, spec);
  const config: Partial<StreamConfig> & { name: string } = {
    name: streamOf(spec.name),
    subjects: [`$KV.${spec.name}.>`],
    storage: spec.storage === 'file' ? StorageType.File : StorageType.Memory,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.New,
    max_msgs_per_subject: 1,
    num_replicas: spec.replicas,
    allow_rollup_hdrs: true,
    allow_direct: true,
    deny_delete: true,
    duplicate_window: nanos(120_000),
  };
  try {
    return await untilLost(bus, bus.manager.streams.add(config));
  } catch (error) {
    const other = await findBucket(bus, spec.name);
    if (other) return checked(other, spec);
    throw unavailable(`the state bucket ${spec.name} could not be made`, { cause: error });
  }
}

function checked(info: StreamInfo, spec: BucketSpec): StreamInfo {
  const storage = info.config.storage === StorageType.File ? 'file' : 'memory';
  if (storage !== spec.storage) {
    throw failedPrecondition(`the state bucket ${spec.name} is kept in ${storage}, it has to be in ${spec.storage}`);
  }
  return info;
}

export function isStreamMissing(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound;
}

export function isWrongSequence(error: unknown): boolean {
  return (
    error instanceof JetStreamApiError &&
    (error.code === JetStreamApiCodes.StreamWrongLastSequence ||
      error.code === JetStreamApiCodes.StreamWrongLastSequenceUnknown)
  );
}

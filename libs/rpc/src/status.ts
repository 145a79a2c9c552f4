import { AtollError, asAtollError } from '@atoll/errors';
import { grpcCodeOf, reasonOfGrpcCode } from '@atoll/errors/grpc';
import { Metadata, type ServiceError, type StatusObject } from '@grpc/grpc-js';

const DETAILS = 'atoll-details';
/** Longer messages are cut: the header block of HTTP/2 is bounded and a message is for people. */
const MESSAGE_LIMIT = 2_048;

/** An error as the trailing status of a call. The details travel as percent-encoded JSON, for metadata is ASCII. */
export function toStatus(error: unknown): StatusObject {
  const known = asAtollError(error);
  const metadata = new Metadata();
  if (Object.keys(known.details).length > 0) metadata.set(DETAILS, encodeURIComponent(JSON.stringify(known.details)));
  const message = known.message.length > MESSAGE_LIMIT ? `${known.message.slice(0, MESSAGE_LIMIT)}…` : known.message;
  return { code: grpcCodeOf(known.reason), details: message, metadata };
}

/** The status of a failed call as the error its handler threw. */
export function fromStatus(error: ServiceError): AtollError {
  return new AtollError(reasonOfGrpcCode(error.code), error.details || error.message, {
    cause: error,
    details: detailsOf(error.metadata),
  });
}

function detailsOf(metadata: Metadata | undefined): Record<string, string> {
  const [encoded] = metadata?.get(DETAILS) ?? [];
  if (typeof encoded !== 'string') return {};
  try {
    const parsed: unknown = JSON.parse(decodeURIComponent(encoded));
    if (typeof parsed !== 'object' || parsed === null) return {};
    return Object.fromEntries(
      Object.entries(parsed).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
    );
  } catch {
    return {}; // extras from a peer of another version: the message alone is enough
  }
}

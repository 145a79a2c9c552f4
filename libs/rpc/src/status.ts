import { AtollError, asAtollError } from '@atoll/errors';
import { grpcCodeOf, reasonOfGrpcCode } from '@atoll/errors/grpc';
import type { callV1 } from '@atoll/proto';
import { Metadata, type ServiceError, type StatusObject } from '@grpc/grpc-js';

const DETAILS = 'atoll-details';
/** Longer messages are cut: the header block of HTTP/2 is bounded and a message is for people. */
const MESSAGE_LIMIT = 2_048;

/** Why calls end that their caller gave up: made once, for its stack costs more than the rest of such an end. */
export const CANCELLED = new DOMException('the caller cancelled or its deadline passed', 'AbortError');

/** An error as the trailing status of a call. The details travel as percent-encoded JSON, for metadata is ASCII. */
export function toStatus(error: unknown): StatusObject {
  const { code, message, details } = failureOf(error);
  const metadata = new Metadata();
  if (Object.keys(details).length > 0) metadata.set(DETAILS, encodeURIComponent(JSON.stringify(details)));
  return { code, details: message, metadata };
}

/** An error as the end of a carried call. */
export function failureOf(error: unknown): callV1.Failure {
  const { reason, message, details } = asAtollError(error);
  const shown = message.length > MESSAGE_LIMIT ? `${message.slice(0, MESSAGE_LIMIT)}…` : message;
  return { code: grpcCodeOf(reason), message: shown, details: { ...details } };
}

/** The end of a carried call as the error its handler threw. */
export function fromFailure({ code, message, details }: callV1.Failure): AtollError {
  return new AtollError(reasonOfGrpcCode(code), message, { details });
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

import { describe, expect, test } from 'vitest';
import { grpcCodeOf, reasonOfGrpcCode } from './grpc.ts';
import { httpStatusOf } from './http.ts';
import { AtollError, asAtollError, type ErrorReason, hasReason, notFound, reasonOf } from './index.ts';

const REASONS: readonly ErrorReason[] = [
  'invalid-argument', 'unauthenticated', 'permission-denied', 'not-found', 'already-exists', 'conflict',
  'failed-precondition', 'resource-exhausted', 'out-of-range', 'unimplemented', 'unavailable',
  'deadline-exceeded', 'cancelled', 'data-loss', 'internal',
]; // biome-ignore format: one glance

describe('classification', () => {
  test.each([
    ['one of ours', notFound('no such container: x'), 'not-found'],
    ['a time-out of AbortSignal.timeout', new DOMException('late', 'TimeoutError'), 'deadline-exceeded'],
    ['an abort', new DOMException('stop', 'AbortError'), 'cancelled'],
    ['anything else', new TypeError('boom'), 'internal'],
    ['not even an error', 'boom', 'internal'],
  ])('%s', (_name, error, want) => {
    expect(reasonOf(error)).toBe(want);
    expect(hasReason(error, want as ErrorReason)).toBe(true);
    expect(asAtollError(error)).toBeInstanceOf(AtollError);
  });

  test('a wrapped error keeps its cause', () => {
    const cause = new Error('disk');
    expect(asAtollError(cause).cause).toBe(cause);
  });
});

describe('translation', () => {
  test.each(REASONS)('%s survives a trip over gRPC', (reason) => {
    expect(reasonOfGrpcCode(grpcCodeOf(reason))).toBe(reason);
  });
  test.each(REASONS)('%s has an HTTP error status', (reason) => {
    expect(httpStatusOf(reason)).toBeGreaterThanOrEqual(400);
  });
  test('an unknown gRPC code is internal', () => {
    expect(reasonOfGrpcCode(2)).toBe('internal');
    expect(reasonOfGrpcCode(99)).toBe('internal');
  });
});

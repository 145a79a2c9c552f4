import { AtollError, type ErrorReason } from './atoll-error.ts';

type Options = ConstructorParameters<typeof AtollError>[2];
const of =
  (reason: ErrorReason) =>
  (message: string, options?: Options): AtollError =>
    new AtollError(reason, message, options);

export const invalidArgument = of('invalid-argument');
export const unauthenticated = of('unauthenticated');
export const permissionDenied = of('permission-denied');
export const notFound = of('not-found');
export const alreadyExists = of('already-exists');
export const conflict = of('conflict');
export const failedPrecondition = of('failed-precondition');
export const resourceExhausted = of('resource-exhausted');
export const outOfRange = of('out-of-range');
export const unimplemented = of('unimplemented');
export const unavailable = of('unavailable');
export const deadlineExceeded = of('deadline-exceeded');
export const cancelled = of('cancelled');
export const dataLoss = of('data-loss');
export const internal = of('internal');

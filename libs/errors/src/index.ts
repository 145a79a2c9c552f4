export { AtollError, type ErrorReason } from './atoll-error.ts';
export { asAtollError, hasReason, reasonOf } from './classify.ts';
export * from './constructors.ts';

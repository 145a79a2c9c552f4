import 'reflect-metadata';

// @peculiar/x509 needs the metadata shim to be loaded before it: this module is the one place that orders the two.
export * from '@peculiar/x509';

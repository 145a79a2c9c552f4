import 'reflect-metadata';

// @peculiar/x509 needs the metadata shim to be loaded before it: this module is the one place that orders the two. It is loaded
// when something is signed, not with the library: it costs 20 MB, and most processes never sign.
export * from '@peculiar/x509';

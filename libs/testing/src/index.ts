export { compileCache } from './compile-cache.ts';
export { natsBinary } from './nats-binary.ts';
export { startNats, type TestNats } from './test-nats.ts';
export { type TestPki, testPki } from './test-pki.ts';

// The generated contracts, one namespace a proto package.
export * as buildV1 from './gen/build/v1/build.ts';
export * as callV1 from './gen/call/v1/call.ts';
export * as containerV1 from './gen/container/v1/container.ts';
export * as eventV1 from './gen/event/v1/event.ts';
export * as identityV1 from './gen/identity/v1/identity.ts';
export * as imageV1 from './gen/image/v1/image.ts';
export * as networkV1 from './gen/network/v1/network.ts';
export * as nodeV1 from './gen/node/v1/node.ts';
export * as runtimeV1 from './gen/runtime/v1/runtime.ts';
export * as volumeV1 from './gen/volume/v1/volume.ts';

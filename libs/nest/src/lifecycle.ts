import type { BeforeApplicationShutdown, FactoryProvider, OnApplicationBootstrap } from '@nestjs/common';

/** What a service starts when it boots and stops before it exits. */
export interface Startable {
  start(): Promise<unknown>;
  stop(): Promise<unknown>;
}

/**
 * A provider that starts `target` when the application boots and stops it on shutdown. Nest calls the hooks in the order of the
 * providers; `after` names tokens that have to be there first.
 */
export function lifecycle(token: symbol | string, target: symbol | string): FactoryProvider {
  return {
    provide: token,
    inject: [target],
    useFactory: (startable: Startable): OnApplicationBootstrap & BeforeApplicationShutdown => ({
      onApplicationBootstrap: async () => {
        await startable.start();
      },
      beforeApplicationShutdown: async () => {
        await startable.stop();
      },
    }),
  };
}

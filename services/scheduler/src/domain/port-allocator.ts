import { randomInt } from 'node:crypto';
import { resourceExhausted } from '@atoll/errors';

/** Linux's default ephemeral range, which Docker too takes published ports from. */
const FIRST_PORT = 32_768;
const LAST_PORT = 60_999;

/** Host ports nobody asked for by number: unique in the whole cluster, so that they can be forwarded from anywhere. */
export class PortAllocator {
  #next = randomInt(FIRST_PORT, LAST_PORT + 1);

  /** Errors: resource-exhausted when every port of the range is in use. */
  allocate(inUse: (port: number) => boolean): number {
    for (let tried = 0; tried <= LAST_PORT - FIRST_PORT; tried++) {
      const port = this.#next;
      this.#next = port === LAST_PORT ? FIRST_PORT : port + 1;
      if (!inUse(port)) return port;
    }
    throw resourceExhausted(`all host ports from ${FIRST_PORT} to ${LAST_PORT} are in use`);
  }
}

import { unavailable } from '@atoll/errors';
import type { Bus } from './connection.ts';

/**
 * A request's answer, or unavailable as soon as the connection it was asked over is lost: the answer will not come then, and
 * waiting for its time-out would only make a short outage longer. What was asked may have been done.
 */
export async function untilLost<T>(bus: Bus, answer: Promise<T>): Promise<T> {
  let ignoreLoss = (): void => {};
  const lost = new Promise<never>((_resolve, reject) => {
    ignoreLoss = bus.onConnectionLost(() => reject(unavailable('the NATS connection was lost before the answer came')));
  });
  try {
    return await Promise.race([answer, lost]);
  } finally {
    ignoreLoss();
  }
}

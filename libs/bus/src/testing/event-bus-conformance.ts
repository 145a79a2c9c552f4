import { setTimeout as sleep } from 'node:timers/promises';
import { eventV1 } from '@atoll/proto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { EventBus } from '../event-bus.ts';

const MS = 1_000_000n;
const event = (action: string, timeNs: bigint): eventV1.Event =>
  eventV1.Event.fromPartial({ type: 'container', action, actorId: 'a.b *', timeNs, attributes: { image: 'busybox' } });

/** What every EventBus has to do; `open` gives an empty one. */
export function eventBusConformance(
  name: string,
  open: () => Promise<{ readonly bus: EventBus; close(): Promise<void> }>,
): void {
  describe(`${name}: event bus`, () => {
    let bus: EventBus;
    let close: () => Promise<void>;
    beforeEach(async () => {
      ({ bus, close } = await open());
    });
    afterEach(() => close());
    const now = (): bigint => BigInt(Date.now()) * MS;
    const actions = async (query: { sinceNs?: bigint; untilNs?: bigint }): Promise<string[]> => {
      const found: string[] = [];
      for await (const one of bus.subscribe({ ...query, signal: AbortSignal.timeout(20_000) })) found.push(one.action);
      return found;
    };

    test('gives what happened between since and until, in order, and ends', async () => {
      const start = now();
      const names = ['create', 'start', 'exec_create: sh -c "x"', 'die'];
      for (const [i, action] of names.entries()) bus.publish(event(action, start + BigInt(i) * MS));
      await bus.flush(AbortSignal.timeout(10_000));
      expect(await actions({ sinceNs: 0n, untilNs: start + 2n * MS })).toEqual(names.slice(0, 3));
      expect(await actions({ sinceNs: start + 1n * MS, untilNs: start + 2n * MS })).toEqual(names.slice(1, 3));
    });

    test('without since only what comes is heard, until the clock reaches until', async () => {
      bus.publish(event('old', now()));
      await bus.flush(AbortSignal.timeout(10_000));
      const until = now() + 1_500n * MS;
      const reading = actions({ untilNs: until });
      const early = setInterval(() => bus.publish(event('young', now())), 50);
      const found = await reading;
      clearInterval(early);
      expect(new Set(found)).toEqual(new Set(['young']));
    });

    test('what happens between the call and the first read is not missed', async () => {
      bus.publish(event('old', now()));
      await bus.flush(AbortSignal.timeout(10_000));
      const subscription = bus.subscribe({ signal: AbortSignal.timeout(20_000) });
      await sleep(200);
      bus.publish(event('young', now()));
      await bus.flush(AbortSignal.timeout(10_000));
      for await (const one of subscription) {
        expect(one.action).toBe('young');
        break;
      }
    });

    test('an aborted subscription throws its reason', async () => {
      const stop = new AbortController();
      const reading = (async () => {
        for await (const one of bus.subscribe({ sinceNs: 0n, signal: stop.signal })) {
          if (one.action === 'last') stop.abort(new Error('enough'));
        }
      })();
      bus.publish(event('last', now()));
      await expect(reading).rejects.toThrow('enough');
    });

    test('many events with long attributes arrive, each once and in order', async () => {
      const start = now();
      const label = 'x'.repeat(64 * 1024);
      for (let i = 0; i < 60; i++) {
        const one = event(`a${i}`, start + BigInt(i));
        bus.publish({ ...one, attributes: { label } });
      }
      await bus.flush(AbortSignal.timeout(10_000));
      expect(await actions({ sinceNs: 0n, untilNs: start + 100n })).toEqual(
        Array.from({ length: 60 }, (_, i) => `a${i}`),
      );
    });

    test('attributes and ids survive the trip', async () => {
      const sent = event('create', now());
      bus.publish(sent);
      await bus.flush(AbortSignal.timeout(10_000));
      for await (const one of bus.subscribe({ sinceNs: 0n, signal: AbortSignal.timeout(10_000) })) {
        expect(one).toEqual(sent);
        break;
      }
    });
  });
}

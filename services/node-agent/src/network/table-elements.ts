import type { ChildProcess } from 'node:child_process';
import { getSystemErrorName } from 'node:util';
import { asAtollError, internal, unavailable } from '@atoll/errors';
import type { Logger } from '@atoll/logging';
import { type Deferred, deferred } from '../processes/deferred.ts';
import { encodeFrame, FRAME, FrameParser } from '../runtime/frames.ts';
import { PlanWriter } from '../runtime/plan-writer.ts';
import { spawnShim } from '../runtime/shim-child.ts';

/** An element of a set or map of nftables to be added or deleted, as the kernel has it. */
export interface TableElement {
  readonly change: 'add' | 'delete';
  readonly family: 'inet' | 'ip' | 'ip6';
  readonly table: string;
  readonly set: string;
  /** Network order, each part of a concatenation padded to four bytes. */
  readonly key: Uint8Array;
  /** Empty in a set. */
  readonly value: Uint8Array;
}

/** Netfilter's numbers of families, NFPROTO_*. */
const FAMILY = { inet: 1, ip: 2, ip6: 10 } as const;
const ANSWER_MS = 10_000;

/** Changes elements of nftables through one process of the shim; a fork of nft(8) for each change costs ten times as much. */
export class TableElements {
  readonly #shim: string;
  readonly #logger: Logger;
  #child: ChildProcess | undefined;
  readonly #waiting: Deferred<number>[] = [];

  constructor(shim: string, logger: Logger) {
    this.#shim = shim;
    this.#logger = logger;
  }

  /** All of them or none. Rejects with internal when the kernel refuses or they are too many, with unavailable when the process is gone. */
  async change(elements: readonly TableElement[]): Promise<void> {
    this.#child ??= this.#start();
    const child = this.#child;
    const answer = deferred<number>();
    this.#waiting.push(answer);
    child.stdin?.write(encodeFrame(FRAME.elements, encode(elements)));
    const timer = setTimeout(() => child.kill('SIGKILL'), ANSWER_MS);
    try {
      const code = await answer.promise;
      if (code !== 0) throw internal(`the kernel refused a change of elements: ${getSystemErrorName(-code)}`);
    } finally {
      clearTimeout(timer);
    }
  }

  stop(): void {
    this.#child?.stdin?.end();
  }

  #start(): ChildProcess {
    const child = spawnShim(this.#shim, ['change-elements'], ['pipe', 'pipe', 'ignore'], true);
    const parser = new FrameParser();
    child.stdin?.on('error', () => undefined);
    child.stdout?.on('data', (chunk: Buffer) => {
      try {
        for (const { payload } of parser.push(chunk)) this.#waiting.shift()?.resolve(payload.readInt32LE());
      } catch (error) {
        this.#logger.warn({ reason: asAtollError(error).message }, 'what changes elements of nftables is out of step');
        child.kill('SIGKILL');
      }
    });
    child.once('error', () => undefined);
    child.once('close', () => {
      this.#child = undefined;
      for (const one of this.#waiting.splice(0)) one.reject(unavailable('what changes elements of nftables has ended'));
    });
    child.unref();
    return child;
  }
}

function encode(elements: readonly TableElement[]): Buffer {
  const writer = new PlanWriter();
  for (const { change, family, table, set, key, value } of elements) {
    writer.u8(change === 'add' ? 1 : 0);
    writer.u8(FAMILY[family]);
    writer.text(table);
    writer.text(set);
    writer.u8(key.length);
    writer.bytes(key);
    writer.u8(value.length);
    writer.bytes(value);
  }
  return writer.take();
}

import type { MethodDefinition, ServiceDefinition } from './definition.ts';

/** What each answer of such a method is: a message of one field, `bytes data = 1`. */
interface BytesAnswer {
  readonly data: Buffer;
}

// biome-ignore lint/suspicious/noExplicitAny: requests of every kind
type BytesMethod = MethodDefinition<any, BytesAnswer, boolean, true>;
type BytesMethods<D> = { [K in keyof D]: D[K] extends BytesMethod ? K : never }[keyof D];

/** Field 1, length-delimited. */
const TAG = 0x0a;

/**
 * The service with answers of methods that stream bytes written and read here: the same bytes on the wire as the generated code's,
 * with one copy where that has three to send and none where it has one to receive. The data of an answer that was received shares
 * the memory of its message.
 */
export function withBytesAnswers<D extends object>(definition: D, ...methods: readonly BytesMethods<D>[]): D {
  const changed: Record<string, unknown> = {};
  for (const name of methods) {
    const method = (definition as ServiceDefinition)[name as string] as BytesMethod;
    changed[name as string] = {
      ...method,
      responseSerialize: serialize,
      responseDeserialize: (message: Buffer) => plainly(message) ?? method.responseDeserialize(message),
    } satisfies BytesMethod;
  }
  return { ...definition, ...changed };
}

function serialize({ data }: BytesAnswer): Buffer {
  if (data.length === 0) return Buffer.alloc(0);
  const head = [TAG];
  for (let left = data.length; ; left >>>= 7) {
    if (left < 0x80) {
      head.push(left);
      break;
    }
    head.push((left & 0x7f) | 0x80);
  }
  const message = Buffer.allocUnsafe(head.length + data.length);
  message.set(head);
  message.set(data, head.length);
  return message;
}

/** Undefined when it is anything but that one field, once. */
function plainly(message: Buffer): BytesAnswer | undefined {
  if (message[0] !== TAG) return undefined;
  let length = 0;
  for (let at = 1, shift = 0; at < message.length && shift < 28; at++, shift += 7) {
    const byte = message[at] as number;
    length |= (byte & 0x7f) << shift;
    if (byte < 0x80) return at + 1 + length === message.length ? { data: message.subarray(at + 1) } : undefined;
  }
  return undefined;
}

import type { Logger } from '@atoll/logging';
import type { containerV1 } from '@atoll/proto';
import type { Answer } from 'dns-packet';
import { nameServersOf } from '../network-files.ts';
import type { HostedNetwork } from '../user/hosted-network.ts';
import { decodeQuery, encodeAnswer, formatError, isTruncated, type Query, RCODE } from './dns-message.ts';
import { Forwarder } from './forwarder.ts';
import { addressesOfName, nameOfAddress, scopeOf } from './name-lookup.ts';

export interface ResponderOptions {
  readonly networks: { get(id: string): HostedNetwork | undefined };
  /** The record of a container of this host. */
  readonly container: (id: string) => containerV1.ContainerRecord | undefined;
  readonly logger: Logger;
  readonly forwarder?: Forwarder;
}

/** Seconds: an answer may be kept for no longer than a container's move is to be seen. */
const TTL = 1;

/** Answers the queries of containers: names of their networks from memory, others by the host's resolvers. */
export class Responder {
  readonly #options: ResponderOptions;
  readonly #forwarder: Forwarder;

  constructor(options: ResponderOptions) {
    this.#options = options;
    this.#forwarder = options.forwarder ?? new Forwarder();
  }

  /** Undefined: no answer. Never rejects. `isTranslated` tells which addresses of services the container can use. */
  async answer(
    containerId: string,
    message: Buffer,
    stream: boolean,
    isTranslated: (address: string) => boolean,
  ): Promise<Buffer | undefined> {
    const query = decodeQuery(message);
    if (!query) return formatError(message);
    const record = this.#options.container(containerId);
    if (!record) return encodeAnswer(query, RCODE.refused, [], stream);
    try {
      return this.#own(record, query, stream, isTranslated) ?? (await this.#forward(record, query, message, stream));
    } catch (err) {
      this.#options.logger.debug({ err, container: containerId, name: query.name }, 'a name was not resolved');
      return encodeAnswer(query, RCODE.serverFailure, [], stream);
    }
  }

  /** From what the scheduler has told; undefined when the name is not of the container's networks. */
  #own(
    record: containerV1.ContainerRecord,
    query: Query,
    stream: boolean,
    isTranslated: (address: string) => boolean,
  ): Buffer | undefined {
    const { type, name } = query.question;
    if (query.question.class !== undefined && query.question.class !== 'IN') return undefined;
    const scope = scopeOf(record, (id) => this.#options.networks.get(id));
    const say = (data: readonly string[]): Buffer => {
      const kind = type as 'A' | 'AAAA' | 'PTR';
      const records = shuffled(data).map((one): Answer => ({ type: kind, name, ttl: TTL, class: 'IN', data: one }));
      return encodeAnswer(query, RCODE.noError, records, stream);
    };
    if (type === 'PTR') {
      const names = nameOfAddress(scope, query.name);
      if (names) return say(names);
    }
    const found = addressesOfName(scope, query.name, type === 'AAAA' ? 6 : 4, isTranslated);
    if (found === 'none') return encodeAnswer(query, RCODE.nameError, [], stream);
    if (found) return say(type === 'A' || type === 'AAAA' ? found : []);
    // Nothing of a container without a way out leaves the host, its questions neither.
    return scope.external ? undefined : encodeAnswer(query, RCODE.nameError, [], stream);
  }

  async #forward(record: containerV1.ContainerRecord, query: Query, message: Buffer, stream: boolean): Promise<Buffer> {
    const servers = await nameServersOf(record.spec?.network);
    const answer = await this.#forwarder.ask(message, servers);
    if (stream || answer.length <= query.datagramBytes || isTruncated(answer)) return answer;
    return encodeTruncated(query);
  }
}

/** The program asks again over TCP. */
function encodeTruncated(query: Query): Buffer {
  const answer = encodeAnswer(query, RCODE.noError, [], true);
  answer.writeUInt8(answer.readUInt8(2) | 2, 2);
  return answer;
}

function shuffled(items: readonly string[]): readonly string[] {
  const result = [...items];
  for (let last = result.length - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * (last + 1));
    [result[last], result[other]] = [result[other] as string, result[last] as string];
  }
  return result;
}

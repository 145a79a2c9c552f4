import { errorMessage, type JsonMessage } from '@atoll/docker-api';
import type { buildV1 } from '@atoll/proto';
import { progressMessage } from '../image/progress-stream.ts';

/**
 * The builder's messages as docker's build stream. `quiet` leaves only the id and what went wrong: the classic client prints what
 * comes as `stream`.
 */
export async function* buildMessages(
  source: AsyncIterable<buildV1.BuildResponse>,
  quiet: boolean,
): AsyncGenerator<JsonMessage> {
  for await (const { message } of source) {
    switch (message?.$case) {
      case 'stream':
        if (!quiet) yield { stream: message.value };
        break;
      case 'progress':
        if (!quiet) yield progressMessage(message.value);
        break;
      case 'imageId':
        yield quiet ? { stream: `${message.value}\n` } : { aux: { ID: message.value } };
        break;
      case 'failure':
        yield errorMessage(message.value.message, message.value.code === 0 ? undefined : message.value.code);
        return;
      default:
    }
  }
}

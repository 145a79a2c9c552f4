import { errorMessage, type JsonMessage } from '@atoll/docker-api';
import type { buildV1 } from '@atoll/proto';
import { progressMessage } from '../image/progress-stream.ts';

/**
 * The builder's messages as docker's build stream. In a quiet build the builder sends no text but what it kept of a failed one, and
 * the id is text: the classic client prints what comes as `stream`.
 */
export async function* buildMessages(
  source: AsyncIterable<buildV1.BuildResponse>,
  quiet: boolean,
): AsyncGenerator<JsonMessage> {
  for await (const { message } of source) {
    switch (message?.$case) {
      case 'stream':
        yield { stream: message.value };
        break;
      case 'progress':
        yield progressMessage(message.value);
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

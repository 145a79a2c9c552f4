import type { ServerResponse } from 'node:http';
import { encodeJsonMessage, errorMessage, type JsonMessage } from '@atoll/docker-api';
import type { imageV1 } from '@atoll/proto';
import { writeChunk } from '../../routing/reply.ts';

/** A message of the store as docker's clients read it. */
export function progressMessage(progress: imageV1.Progress): JsonMessage {
  const detail =
    progress.total > 0n || progress.current > 0n
      ? {
          current: Number(progress.current),
          ...(progress.total > 0n ? { total: Number(progress.total) } : {}),
        }
      : {};
  return {
    ...(progress.stream === '' ? {} : { stream: progress.stream }),
    ...(progress.status === '' ? {} : { status: progress.status }),
    ...(progress.id === '' ? {} : { progressDetail: detail, id: progress.id }),
    ...(progress.id === '' && progress.total > 0n ? { progressDetail: detail } : {}),
    ...(progress.auxJson === '' ? {} : { aux: JSON.parse(progress.auxJson) as unknown }),
  };
}

/**
 * Streams messages as JSON. The answer is 200 with the first message; a failure before it is an ordinary error, one after it
 * ends the stream with `errorDetail`, as clients expect.
 */
export async function streamMessages(
  response: ServerResponse,
  messages: AsyncIterable<JsonMessage>,
  signal: AbortSignal,
): Promise<void> {
  try {
    for await (const message of messages) {
      if (!response.headersSent) response.writeHead(200, { 'Content-Type': 'application/json' });
      await writeChunk(response, encodeJsonMessage(message), signal);
    }
    if (!response.headersSent) response.writeHead(200, { 'Content-Type': 'application/json' });
  } catch (error) {
    if (!response.headersSent || signal.aborted) throw error;
    response.write(encodeJsonMessage(errorMessage(error instanceof Error ? error.message : String(error))));
  }
  response.end();
}

export async function* progressMessages(source: AsyncIterable<imageV1.Progress>): AsyncGenerator<JsonMessage> {
  for await (const progress of source) yield progressMessage(progress);
}

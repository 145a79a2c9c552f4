import { formatLogTime, parseTimestamp } from '@atoll/docker-api';
import { invalidArgument } from '@atoll/errors';
import { z } from 'zod';
import { streamContentType } from '../../hijack/content-type.ts';
import { parseQuery, queryFlag, queryText } from '../../routing/query.ts';
import { writeChunk } from '../../routing/reply.ts';
import type { Handler } from '../../routing/request-context.ts';
import type { ContainerLookup, ContainerStreams, LogOptions } from './backend.ts';
import { logAttributes } from './log-attributes.ts';
import { logFrames } from './log-frames.ts';

const QUERY = z.object({
  follow: queryFlag(),
  stdout: queryFlag(),
  stderr: queryFlag(),
  since: queryText(),
  until: queryText(),
  timestamps: queryFlag(),
  tail: queryText('all'),
  details: queryFlag(),
});

/** GET /containers/{id}/logs */
export function containerLogs(backend: ContainerLookup & ContainerStreams): Handler {
  return async ({ params, query, response, signal, version }) => {
    const asked = parseQuery(query, QUERY);
    if (!asked.stdout && !asked.stderr) {
      throw invalidArgument('Bad parameters: you must choose at least one stream');
    }
    const view = backend.find(params['id'] ?? '');
    const tty = view.spec.process?.tty ?? false;
    const details = asked.details ? `${logAttributes({ id: view.record.id, spec: view.spec })} ` : '';
    const records = backend.logs(view, logOptions(asked), signal)[Symbol.asyncIterator]();
    // The first record, or the refusal, decides whether this is a 200; a follower of a silent container must not wait for it.
    const first = records.next();
    const early = await Promise.race([first.then(() => 'known' as const), pause(asked.follow ? 50 : undefined)]);
    response.writeHead(200, { 'Content-Type': streamContentType(version, tty) });
    if (early === 'silent') response.flushHeaders();
    for (let next = await first; next.done !== true; next = await records.next()) {
      const { stream, timeNs, data } = next.value;
      const prefix = (asked.timestamps ? `${formatLogTime(timeNs)} ` : '') + details;
      await writeChunk(response, logFrames(tty ? undefined : stream, data, prefix), signal);
    }
    response.end();
  };
}

function pause(ms: number | undefined): Promise<'silent'> {
  return new Promise((resolve) => {
    if (ms !== undefined) setTimeout(() => resolve('silent'), ms);
  });
}

function logOptions(asked: z.output<typeof QUERY>): LogOptions {
  const point = (text: string, field: string): bigint =>
    text === '' || text === '0' ? 0n : parseTimestamp(text, field);
  return {
    stdout: asked.stdout,
    stderr: asked.stderr,
    sinceNs: point(asked.since, 'since'),
    untilNs: point(asked.until, 'until'),
    // Docker reads anything that is not a number as all.
    tail: /^\d{1,15}$/.test(asked.tail) ? Number(asked.tail) : -1,
    follow: asked.follow,
    timestamps: asked.timestamps,
  };
}

import { type Filters, matchesLabels, parseFilters, parseTimestamp } from '@atoll/docker-api';
import { invalidArgument } from '@atoll/errors';
import type { eventV1 } from '@atoll/proto';
import { z } from 'zod';
import { parseQuery, queryText } from '../../routing/query.ts';
import { writeChunk } from '../../routing/reply.ts';
import type { Handler } from '../../routing/request-context.ts';
import type { SystemBackend } from './backend.ts';

const QUERY = z.object({ since: queryText(), until: queryText(), filters: queryText() });
// biome-ignore format: a table
const FILTERS = [
  'config', 'container', 'daemon', 'event', 'image', 'label', 'network', 'node', 'plugin', 'scope', 'secret', 'service',
  'type', 'volume',
];

/** GET /events: JSON objects, one a line, until `until` or until the client leaves. */
export function systemEvents(backend: SystemBackend): Handler {
  return async ({ query, response, signal }) => {
    const asked = parseQuery(query, QUERY);
    const filters = parseFilters(asked.filters, FILTERS);
    const sinceNs = asked.since === '' ? undefined : parseTimestamp(asked.since, 'since');
    const untilNs = asked.until === '' ? undefined : parseTimestamp(asked.until, 'until');
    if (sinceNs !== undefined && untilNs !== undefined && sinceNs > untilNs) {
      throw invalidArgument('`since` time cannot be after `until` time');
    }
    const events = backend.events({ sinceNs, untilNs, signal });
    response.writeHead(200, { 'Content-Type': 'application/json' });
    response.flushHeaders();
    for await (const event of events) {
      if (matches(event, filters)) await writeChunk(response, `${JSON.stringify(eventObject(event))}\n`, signal);
    }
    response.end();
  };
}

function eventObject(event: eventV1.Event): Record<string, unknown> {
  const { type, action, attributes, timeNs } = event;
  // A prune has no actor in docker; on the way here it needs one.
  const actorId = action === 'prune' ? '' : event.actorId;
  return {
    // The three fields of events before 1.22, which old clients still read.
    ...(type === 'container' || type === 'image'
      ? { status: action, id: actorId, ...(attributes['image'] === undefined ? {} : { from: attributes['image'] }) }
      : {}),
    Type: type,
    Action: action,
    Actor: { ID: actorId, Attributes: attributes },
    scope: type === 'node' ? 'swarm' : 'local',
    time: Number(timeNs / 1_000_000_000n),
    timeNano: Number(timeNs),
  };
}

function matches(event: eventV1.Event, filters: Filters): boolean {
  const actorMatches = (type: string): boolean => {
    const wanted = filters.get(type);
    if (wanted === undefined || wanted.length === 0) return true;
    const { actorId, attributes } = event;
    if (event.type !== type) return type === 'image' && wanted.some((image) => sameImage(attributes['image'], image));
    return wanted.some(
      (value) =>
        actorId === value ||
        (value.length > 0 && actorId.startsWith(value)) ||
        attributes['name'] === value.replace(/^\//, ''),
    );
  };
  const plain = (name: string, test: (value: string) => boolean): boolean => filters.get(name)?.some(test) ?? true;
  return (
    plain('type', (type) => type === event.type) &&
    // `exec_create: sh` is found by `exec_create`.
    plain('event', (action) => event.action === action || event.action.startsWith(`${action}:`)) &&
    plain('scope', (scope) => scope === (event.type === 'node' ? 'swarm' : 'local')) &&
    matchesLabels(filters.get('label'), event.attributes) &&
    ['container', 'image', 'network', 'volume', 'node', 'plugin', 'service', 'secret', 'config', 'daemon'].every(
      actorMatches,
    )
  );
}

function sameImage(name: string | undefined, wanted: string): boolean {
  return (
    name !== undefined && (name === wanted || name === `${wanted}:latest` || name.replace(/:[^/:]+$/, '') === wanted)
  );
}

import {
  formatApiVersion,
  MAXIMUM_API_VERSION,
  MINIMUM_API_VERSION,
  OPERATION_IDS,
  OPERATIONS,
} from '@atoll/docker-api';
import { BUILT_ROUTES, OWN_ROUTES } from '../gateway-routes.ts';
import { OPERATION_NOTES } from '../routing/operation-notes.ts';

/** The text of `docs/docker-api.md`: every operation of the published description and whether it is built. */
export function apiTable(): string {
  const built = new Set<string>(Object.values(BUILT_ROUTES).flatMap((routes) => Object.keys(routes)));
  const areas = [...new Set(OPERATION_IDS.map((operation) => OPERATIONS[operation].area))];
  const lines = [
    '# Docker Engine API: what is built',
    '',
    'Made from the route table by `npm run docs -w services/gateway`; a test fails when it is out of date.',
    '',
    `Versions ${formatApiVersion(MINIMUM_API_VERSION)} to ${formatApiVersion(MAXIMUM_API_VERSION)} are served, with and without the version in the path.`,
    'An operation that is missing answers 501 with its name; a field or parameter that is missing answers 501 or 400 naming it.',
    `${built.size} of ${OPERATION_IDS.length} operations are built.`,
  ];
  for (const area of areas) {
    lines.push('', `## ${area}`, '', '| operation | request | state | notes |', '| --- | --- | --- | --- |');
    for (const operation of OPERATION_IDS.filter((id) => OPERATIONS[id].area === area)) {
      const { method, path } = OPERATIONS[operation];
      const state = built.has(operation) ? 'done' : 'missing';
      lines.push(`| ${operation} | \`${method} ${path}\` | ${state} | ${OPERATION_NOTES[operation] ?? ''} |`);
    }
  }
  lines.push('', "## Atoll's own", '', '| request | notes |', '| --- | --- |');
  for (const { method, path, notes } of OWN_ROUTES) lines.push(`| \`${method} ${path}\` | ${notes} |`);
  return `${lines.join('\n').replace(/ +\|$/gm, ' |')}\n`;
}

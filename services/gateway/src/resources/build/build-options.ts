import { type AuthConfig, parseStrictJson } from '@atoll/docker-api';
import { invalidArgument, unimplemented } from '@atoll/errors';
import { buildV1 } from '@atoll/proto';
import { formatReference, parseReference, withDefaultTag } from '@atoll/reference';
import { z } from 'zod';
import { parseQuery, queryFlag, queryInteger, queryText } from '../../routing/query.ts';
import { constraintsOf } from '../container/constraints.ts';
import { limitsOf } from '../container/limits.ts';

const QUERY = z.object({
  dockerfile: queryText('Dockerfile'),
  q: queryFlag(),
  nocache: queryFlag(),
  pull: queryText(),
  rm: queryFlag(true),
  forcerm: queryFlag(),
  memory: queryInteger(),
  memswap: queryInteger(),
  cpushares: queryInteger(),
  cpusetcpus: queryText(),
  cpuperiod: queryInteger(),
  cpuquota: queryInteger(),
  buildargs: queryText(),
  shmsize: queryInteger(),
  labels: queryText(),
  networkmode: queryText('default'),
  platform: queryText(),
  target: queryText(),
  cachefrom: queryText(),
  extrahosts: queryText(),
  version: queryText('1'),
});

/** Parameters that mean something Atoll has not built: they must have one of these values. */
const NEUTRAL: Readonly<Record<string, readonly string[]>> = {
  remote: [''],
  squash: ['', '0', 'false'],
  outputs: ['', '[]', 'null'],
  cgroupparent: [''],
  isolation: ['', 'default'],
  ulimits: ['', '[]', 'null'],
  securityopt: ['', '[]', 'null'],
  session: [''],
  cpusetmems: [''],
};
/** Known and without a meaning here: an id the client may cancel by (its connection does that), repeated `t`. */
const OTHERS: readonly string[] = ['t', 'buildid'];

/**
 * The options of POST /build, every parameter limits.
 * @throws invalid-argument or unimplemented naming the parameter
 */
export function buildOptions(query: URLSearchParams, auths: ReadonlyMap<string, AuthConfig>): buildV1.BuildOptions {
  checkNames(query);
  const asked = parseQuery(query, QUERY);
  if (asked.version !== '1') {
    throw unimplemented('POST /build with version=2 (BuildKit) is not built yet: set DOCKER_BUILDKIT=0');
  }
  const buildArgs = jsonMap(asked.buildargs, 'buildargs');
  const labels = givenOnly(jsonMap(asked.labels, 'labels'));
  const limits = limitsOf({
    Memory: asked.memory,
    MemorySwap: asked.memswap,
    CpuShares: asked.cpushares,
    CpuQuota: asked.cpuquota,
    CpuPeriod: asked.cpuperiod,
    CpusetCpus: asked.cpusetcpus,
  });
  if (!['', 'default', 'bridge', 'none', 'host'].includes(asked.networkmode)) {
    throw unimplemented(`POST /build: networkmode "${asked.networkmode}" is not built yet`);
  }
  return buildV1.BuildOptions.fromPartial({
    dockerfile: dockerfilePath(asked.dockerfile),
    tags: query
      .getAll('t')
      .filter(Boolean)
      .map((tag) => formatReference(withDefaultTag(parseReference(tag)))),
    buildArgs: givenOnly(buildArgs),
    unsetBuildArgs: Object.keys(buildArgs).filter((name) => buildArgs[name] === null),
    labels,
    target: asked.target,
    noCache: asked.nocache,
    pull: !['', '0', 'false', 'no'].includes(asked.pull),
    quiet: asked.q,
    rm: asked.rm || asked.forcerm,
    platform: asked.platform,
    networkMode: asked.networkmode,
    memory: limits.memory,
    memorySwap: limits.memorySwap,
    cpuShares: limits.cpuShares,
    cpuQuota: limits.cpuQuota,
    cpuPeriod: limits.cpuPeriod,
    cpusetCpus: limits.cpusetCpus,
    shmSize: BigInt(asked.shmsize ?? 0),
    extraHosts: asked.extrahosts === '' ? [] : asked.extrahosts.split(','),
    auths: Object.fromEntries(auths),
    cacheFrom: jsonList(asked.cachefrom, 'cachefrom'),
    constraints: [...constraintsOf({ Labels: labels }, []).constraints],
  });
}

function checkNames(query: URLSearchParams): void {
  for (const [name, value] of query) {
    const neutral = Object.hasOwn(NEUTRAL, name) ? NEUTRAL[name] : undefined;
    if (neutral !== undefined && !neutral.includes(value)) {
      throw unimplemented(`POST /build: the parameter "${name}" is not built yet (got "${value.slice(0, 64)}")`);
    }
    if (neutral === undefined && !Object.hasOwn(QUERY.shape, name) && !OTHERS.includes(name)) {
      throw invalidArgument(`POST /build: unknown parameter "${name}"`);
    }
  }
}

function dockerfilePath(path: string): string {
  if (path.startsWith('/') || path.split('/').includes('..')) {
    throw invalidArgument(`the Dockerfile must be within the build context (got "${path}")`);
  }
  return path;
}

function jsonMap(text: string, name: string): Readonly<Record<string, string | null>> {
  if (text === '') return {};
  const parsed = z.record(z.string(), z.string().nullable()).nullable().safeParse(parseStrictJson(text, name));
  if (!parsed.success) throw invalidArgument(`invalid value for query parameter "${name}": want an object of texts`);
  return parsed.data ?? {};
}

function jsonList(text: string, name: string): string[] {
  if (text === '') return [];
  const parsed = z.array(z.string()).nullable().safeParse(parseStrictJson(text, name));
  if (!parsed.success) throw invalidArgument(`invalid value for query parameter "${name}": want a list of texts`);
  return parsed.data ?? [];
}

function givenOnly(map: Readonly<Record<string, string | null>>): Record<string, string> {
  return Object.fromEntries(Object.entries(map).filter((entry): entry is [string, string] => entry[1] !== null));
}

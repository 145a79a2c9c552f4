import type { containerV1 } from '@atoll/proto';
import { linearPattern } from './linear-pattern.ts';

type Attributes = Map<string, string>;

/** What the log options `labels`, `labels-regex`, `env`, `env-regex` and `tag` add to each line of `docker logs --details`: `a=b,c=d`. */
export function logAttributes({ id, spec }: { readonly id: string; readonly spec: containerV1.ContainerSpec }): string {
  const config = spec.log?.config ?? {};
  const env = Object.fromEntries(
    (spec.process?.env ?? []).filter((entry) => entry.includes('=')).map((entry) => splitAt(entry, '=')),
  );
  const attributes: Attributes = new Map();
  choose(attributes, spec.labels, config['labels'], config['labels-regex']);
  choose(attributes, env, config['env'], config['env-regex']);
  const tag = renderTag(config['tag'] ?? '', id, spec);
  if (tag !== '') attributes.set('tag', tag);
  return [...attributes]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${queryEscape(name)}=${queryEscape(value)}`)
    .join(',');
}

function choose(
  into: Attributes,
  from: Readonly<Record<string, string>>,
  names: string | undefined,
  pattern: string | undefined,
): void {
  const named = new Set(names === undefined || names === '' ? [] : names.split(','));
  const fits = pattern === undefined || pattern === '' ? undefined : linearPattern(pattern);
  for (const [name, value] of Object.entries(from)) if (named.has(name) || fits?.test(name)) into.set(name, value);
}

const TAG_FIELDS: Readonly<Record<string, (id: string, spec: containerV1.ContainerSpec) => string>> = {
  ID: (id) => id.slice(0, 12),
  FullID: (id) => id,
  Name: (_, { name }) => name,
  // Docker cuts the id with its prefix.
  ImageID: (_, { image }) => image?.imageId.slice(0, 12) ?? '',
  ImageFullID: (_, { image }) => image?.imageId ?? '',
  ImageName: (_, { image }) => image?.reference ?? '',
  DaemonName: () => 'docker',
};
const ACTION = /\{\{(.*?)\}\}/gs;

/** Why `tag` cannot be rendered; undefined when it can. */
export function tagFault(tag: string): string | undefined {
  const rest = tag.replace(ACTION, (_, action: string) => (fieldOf(action) === undefined ? '{{' : ''));
  if (!rest.includes('{{')) return undefined;
  const known = Object.keys(TAG_FIELDS).map((field) => `{{.${field}}}`);
  return `only text and ${known.join(', ')} are built`;
}

function renderTag(tag: string, id: string, spec: containerV1.ContainerSpec): string {
  return tag.replace(ACTION, (whole, action: string) => fieldOf(action)?.(id, spec) ?? whole);
}

function fieldOf(action: string): (typeof TAG_FIELDS)[string] | undefined {
  const name = /^\s*\.(\w+)\s*$/.exec(action)?.[1] ?? '';
  return Object.hasOwn(TAG_FIELDS, name) ? TAG_FIELDS[name] : undefined;
}

function splitAt(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** Go's url.QueryEscape. */
function queryEscape(text: string): string {
  return encodeURIComponent(text)
    .replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+');
}

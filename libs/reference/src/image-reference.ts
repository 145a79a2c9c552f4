import { invalidArgument } from '@atoll/errors';
import { type Digest, isDigest } from './digest.ts';

/** A normalised image reference, as Docker's reference grammar has it. */
export interface ImageReference {
  /** `docker.io`, `registry.example:5000`, … */
  readonly domain: string;
  /** `library/busybox`. */
  readonly path: string;
  readonly tag: string | undefined;
  readonly digest: Digest | undefined;
}

const DEFAULT_DOMAIN = 'docker.io';
const OFFICIAL = 'library/';
const NAME_LIMIT = 255;

const DOMAIN_COMPONENT = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const DOMAIN = new RegExp(`^(?:${DOMAIN_COMPONENT}(?:\\.${DOMAIN_COMPONENT})*|\\[[0-9a-fA-F:]+\\])(?::[0-9]{1,5})?$`);
const PATH = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[\w][\w.-]{0,127}$/;

/**
 * Parses what a user types: `busybox`, `me/app:1`, `localhost:5000/a@sha256:…`. A first component is a domain when it has a dot
 * or a colon, or is `localhost`. No tag is added. Throws invalid-argument with Docker's wording.
 */
export function parseReference(text: string): ImageReference {
  if (text.length > NAME_LIMIT + 128 + 80) throw invalidArgument('invalid reference format: it is too long');
  if (/^[0-9a-f]{64}$/.test(text)) {
    throw invalidArgument(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  }
  const at = text.indexOf('@');
  const digest = at < 0 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !isDigest(digest)) throw invalidFormat();
  const named = at < 0 ? text : text.slice(0, at);
  const colon = named.lastIndexOf(':');
  const hasTag = colon > named.lastIndexOf('/');
  const tag = hasTag ? named.slice(colon + 1) : undefined;
  if (tag !== undefined && !TAG.test(tag)) throw invalidFormat();
  return { ...splitName(hasTag ? named.slice(0, colon) : named), tag, digest };
}

function splitName(name: string): { domain: string; path: string } {
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  const explicit = first === 'localhost' || /[.:]/.test(first) || first !== first.toLowerCase();
  const domain = explicit ? (first === 'index.docker.io' ? DEFAULT_DOMAIN : first) : DEFAULT_DOMAIN;
  const rest = explicit ? name.slice(slash + 1) : name;
  if (rest !== rest.toLowerCase()) {
    throw invalidArgument('invalid reference format: repository name must be lowercase');
  }
  const path = domain === DEFAULT_DOMAIN && !rest.includes('/') ? OFFICIAL + rest : rest;
  if (!DOMAIN.test(domain) || !PATH.test(path)) throw invalidFormat();
  if (domain.length + 1 + path.length > NAME_LIMIT) {
    throw invalidArgument(`invalid reference format: repository name must not be more than ${NAME_LIMIT} characters`);
  }
  return { domain, path };
}

function invalidFormat() {
  return invalidArgument('invalid reference format');
}

/** `docker.io/library/busybox`: the full name without tag and digest. */
export function repositoryOf(reference: ImageReference): string {
  return `${reference.domain}/${reference.path}`;
}

/** The repository as docker shows it: `busybox`, `me/app`, `registry.example/a`. */
export function familiarName(reference: ImageReference): string {
  if (reference.domain !== DEFAULT_DOMAIN) return repositoryOf(reference);
  const { path } = reference;
  return path.startsWith(OFFICIAL) && !path.slice(OFFICIAL.length).includes('/') ? path.slice(OFFICIAL.length) : path;
}

/** As docker shows it, with tag and digest as far as given. */
export function familiarString(reference: ImageReference): string {
  return familiarName(reference) + suffix(reference);
}

export function formatReference(reference: ImageReference): string {
  return repositoryOf(reference) + suffix(reference);
}

/** A reference with neither tag nor digest means `latest`. */
export function withDefaultTag(reference: ImageReference): ImageReference {
  return reference.tag === undefined && reference.digest === undefined ? { ...reference, tag: 'latest' } : reference;
}

function suffix({ tag, digest }: ImageReference): string {
  return (tag === undefined ? '' : `:${tag}`) + (digest === undefined ? '' : `@${digest}`);
}

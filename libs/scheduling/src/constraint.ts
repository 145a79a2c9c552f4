import { invalidArgument } from '@atoll/errors';
import type { NodeFacts } from './node-info.ts';

/** One parsed constraint. A soft one is a wish: it decides only among hosts that fit. */
export interface Constraint {
  readonly text: string;
  readonly soft: boolean;
  matches(node: NodeFacts): boolean;
}

const FORM = /^\s*(?:constraint:)?\s*([A-Za-z_][A-Za-z0-9._/-]*)\s*(==|!=)(~?)\s*(.*?)\s*$/;
const MAX_LENGTH = 512;

/**
 * Service constraint syntax (`node.hostname==h2`, `node.id`, `node.platform.os`, `node.platform.arch`, `node.labels.<key>`,
 * `engine.labels.<key>`) and Swarm classic's (`node==h2`, `storage!=disk`, `==~` for a wish), the latter with or without its
 * `constraint:` prefix. Values compare without regard to case; `*` in them stands for any text. A label that is not there is empty.
 * Errors: invalid-argument naming the constraint and what is wrong with it.
 */
export function parseConstraint(text: string): Constraint {
  if (text.length > MAX_LENGTH) throw invalidArgument(`a constraint is longer than ${MAX_LENGTH} characters`);
  const match = FORM.exec(text);
  const [, key, operator, soft, value] = match ?? [];
  if (key === undefined || value === undefined || value === '') {
    throw invalidArgument(`constraint ${JSON.stringify(text)} is malformed: it has the form key==value or key!=value`);
  }
  if (value.startsWith('/') && value.endsWith('/') && value.length > 1) {
    throw invalidArgument(
      `constraint ${JSON.stringify(text)}: regular expressions are not supported, use * as a wildcard`,
    );
  }
  const field = fieldOf(key, text);
  const wanted = matcherOf(value);
  // Swarm classic's `node` is the host's name or its id.
  const equal = (node: NodeFacts): boolean => wanted(field(node)) || (key === 'node' && wanted(node.id));
  return {
    text: `${key}${operator}${soft ?? ''}${value}`,
    soft: soft === '~',
    matches: operator === '==' ? equal : (node) => !equal(node),
  };
}

type Field = (node: NodeFacts) => string;

function fieldOf(key: string, text: string): Field {
  switch (key) {
    case 'node.id':
      return (node) => node.id;
    case 'node':
    case 'node.hostname':
      return (node) => node.hostname;
    case 'node.platform.os':
      return (node) => node.os;
    case 'node.platform.arch':
      return (node) => node.architecture;
  }
  for (const prefix of ['node.labels.', 'engine.labels.']) {
    if (key.startsWith(prefix) && key.length > prefix.length) return labelField(key.slice(prefix.length));
  }
  if (key.startsWith('node.') || key.startsWith('engine.')) {
    throw invalidArgument(
      `constraint ${JSON.stringify(text)}: ${key} is not known; there are node.id, node.hostname, node.platform.os, node.platform.arch, node.labels.<key> and engine.labels.<key>`,
    );
  }
  return labelField(key);
}

function labelField(label: string): Field {
  return (node) => (Object.hasOwn(node.labels, label) ? (node.labels[label] ?? '') : '');
}

/** Wildcards without a regular expression: the parts between stars have to occur in order, first and last at the ends. */
function matcherOf(value: string): (actual: string) => boolean {
  const parts = value.toLowerCase().split('*');
  const first = parts[0] ?? '';
  if (parts.length === 1) return (actual) => actual === value || actual.toLowerCase() === first;
  const last = parts[parts.length - 1] ?? '';
  const middle = parts.slice(1, -1);
  return (actual) => {
    const text = actual.toLowerCase();
    if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length) return false;
    let at = first.length;
    for (const part of middle) {
      const found = text.indexOf(part, at);
      if (found < 0 || found + part.length > text.length - last.length) return false;
      at = found + part.length;
    }
    return true;
  };
}

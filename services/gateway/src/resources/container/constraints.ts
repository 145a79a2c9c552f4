import { invalidArgument } from '@atoll/errors';

/** Label that chooses hosts, service constraint syntax, several separated by commas. */
export const CONSTRAINTS_LABEL = 'atoll.constraints';
const ENV_PREFIX = 'constraint:';
/** Swarm classic's own names for facts of a host. */
const CLASSIC: Readonly<Record<string, string>> = {
  node: 'node.hostname',
  operatingsystem: 'node.platform.os',
  architecture: 'node.platform.arch',
};

export interface ConstraintChoice {
  readonly constraints: readonly string[];
  /** The environment without Swarm classic's `constraint:` entries. */
  readonly env: readonly string[];
}

/**
 * Constraints of the label and of Swarm classic's `-e constraint:node==h2`, as a user has given them: what an image says about
 * itself chooses no host. `env` is the merged environment. @throws invalid-argument
 */
export function constraintsOf(
  given: {
    readonly Labels?: Readonly<Record<string, string>> | null | undefined;
    readonly Env?: readonly string[] | null | undefined;
  },
  env: readonly string[],
): ConstraintChoice {
  const labels = given.Labels ?? {};
  const fromLabel = (labels[CONSTRAINTS_LABEL] ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  const classic = (given.Env ?? []).filter((entry) => entry.startsWith(ENV_PREFIX));
  return {
    constraints: [...fromLabel.map(checked), ...classic.map(translate)],
    env: env.filter((entry) => !classic.includes(entry)),
  };
}

function checked(constraint: string): string {
  if (/^[\w.-]+\s*(==|!=)\s*\S.*$/.test(constraint)) return constraint;
  throw invalidArgument(
    `invalid constraint "${constraint}" in label ${CONSTRAINTS_LABEL}: want key==value or key!=value`,
  );
}

function translate(entry: string): string {
  const match = /^constraint:([\w.-]+)(==|!=)(~?)(.+)$/.exec(entry);
  if (match === null)
    throw invalidArgument(`invalid "-e ${entry}": want constraint:key==value or constraint:key!=value`);
  const [, key = '', operator = '', soft, value = ''] = match;
  if (soft === '~') throw invalidArgument(`invalid "-e ${entry}": soft constraints are not supported`);
  return `${CLASSIC[key] ?? (key.startsWith('node.') ? key : `node.labels.${key}`)}${operator}${value}`;
}

/** Whether the constraints name one host. */
export function pinsOneHost(constraints: readonly string[]): boolean {
  return constraints.some((constraint) => /^node\.(hostname|id)\s*==/.test(constraint));
}

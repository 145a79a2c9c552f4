import { invalidArgument, unimplemented } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';
import type { HostConfigRequest } from './host-config-request.ts';
import { linearPattern } from './linear-pattern.ts';
import { tagFault } from './log-attributes.ts';

/** Why a value is refused; undefined when it is not. */
type Fault = (value: string) => string | undefined;

const matching =
  (form: RegExp): Fault =>
  (value) =>
    form.test(value) ? undefined : '';
const text: Fault = () => undefined;
const pattern: Fault = (value) => {
  try {
    linearPattern(value);
    return undefined;
  } catch (error) {
    return `${(error as Error).message}; characters, classes, groups, alternatives, anchors and repetitions are known`;
  }
};

const FILES: Readonly<Record<string, Fault>> = {
  'max-size': matching(/^-?\d+(\.\d+)?\s*[bkmgBKMG]?[bB]?$/),
  'max-file': matching(/^[1-9]\d{0,4}$/),
  mode: matching(/^(non-)?blocking$/),
  compress: (value) => {
    if (/^(1|t|true)$/i.test(value))
      throw unimplemented("log opt 'compress' is not built: files of a log are kept as they are");
    return /^(0|f|false)$/i.test(value) ? undefined : '';
  },
};
/** Docker's `local` driver has no attributes. */
const LOG_OPTIONS: Readonly<Record<string, Readonly<Record<string, Fault>>>> = {
  'json-file': {
    ...FILES,
    labels: text,
    'labels-regex': pattern,
    env: text,
    'env-regex': pattern,
    tag: tagFault,
  },
  local: FILES,
  none: {},
};

/** Where output goes. @throws invalid-argument in docker's words */
export function logOf(host: HostConfigRequest): containerV1.LogConfig {
  const type = host.LogConfig?.Type || 'json-file';
  const known = Object.hasOwn(LOG_OPTIONS, type) ? LOG_OPTIONS[type] : undefined;
  if (known === undefined) throw invalidArgument(`logger: no log driver named '${type}' is registered`);
  const config = host.LogConfig?.Config ?? {};
  for (const [name, value] of Object.entries(config)) {
    const faultOf = Object.hasOwn(known, name) ? known[name] : undefined;
    if (name === 'max-buffer-size') {
      throw invalidArgument(
        `log opt 'max-buffer-size' has no meaning here: output is written to the log as it is read, in either mode`,
      );
    }
    if (faultOf === undefined) throw invalidArgument(`unknown log opt '${name}' for ${type} log driver`);
    const fault = faultOf(value);
    if (fault === undefined) continue;
    throw invalidArgument(`invalid value for log opt '${name}': "${value}"${fault === '' ? '' : `: ${fault}`}`);
  }
  return { type, config: { ...config } };
}

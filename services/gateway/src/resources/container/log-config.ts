import { invalidArgument } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';
import type { HostConfigRequest } from './host-config-request.ts';

const LOG_OPTIONS: Readonly<Record<string, Readonly<Record<string, RegExp>>>> = {
  'json-file': {
    'max-size': /^-?\d+(\.\d+)?\s*[bkmgBKMG]?[bB]?$/,
    'max-file': /^[1-9]\d{0,4}$/,
    mode: /^(non-)?blocking$/,
  },
  local: { 'max-size': /^-?\d+(\.\d+)?\s*[bkmgBKMG]?[bB]?$/, 'max-file': /^[1-9]\d{0,4}$/, mode: /^(non-)?blocking$/ },
  none: {},
};

/** Where output goes. @throws invalid-argument in docker's words */
export function logOf(host: HostConfigRequest): containerV1.LogConfig {
  const type = host.LogConfig?.Type || 'json-file';
  const known = Object.hasOwn(LOG_OPTIONS, type) ? LOG_OPTIONS[type] : undefined;
  if (known === undefined) throw invalidArgument(`logger: no log driver named '${type}' is registered`);
  const config = host.LogConfig?.Config ?? {};
  for (const [name, value] of Object.entries(config)) {
    const form = Object.hasOwn(known, name) ? known[name] : undefined;
    if (name === 'max-buffer-size') {
      throw invalidArgument(
        `log opt 'max-buffer-size' has no meaning here: output is written to the log as it is read, in either mode`,
      );
    }
    if (form === undefined) throw invalidArgument(`unknown log opt '${name}' for ${type} log driver`);
    if (!form.test(value)) throw invalidArgument(`invalid value for log opt '${name}': "${value}"`);
  }
  return { type, config: { ...config } };
}

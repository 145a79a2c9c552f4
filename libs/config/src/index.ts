export { loadConfig } from './load-config.ts';
export { absolutePath, address, addressList, flag, pairs, positiveInteger } from './variables.ts';

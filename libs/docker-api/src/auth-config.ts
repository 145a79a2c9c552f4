import { invalidArgument } from '@atoll/errors';
import { parseStrictJson } from './strict-json.ts';

/** Credentials for a registry, as X-Registry-Auth and POST /auth carry them. Absent texts are empty. */
export interface AuthConfig {
  readonly username: string;
  readonly password: string;
  readonly identityToken: string;
  readonly registryToken: string;
  readonly serverAddress: string;
}

export const NO_AUTH: AuthConfig = {
  username: '',
  password: '',
  identityToken: '',
  registryToken: '',
  serverAddress: '',
};

/** The X-Registry-Auth header: base64url (or base64) of a JSON object. Absent or empty: no credentials. */
export function decodeAuthHeader(header: string | undefined): AuthConfig {
  if (header === undefined || header === '') return NO_AUTH;
  return parseAuthConfig(decodeJson(header, 'X-Registry-Auth'), 'X-Registry-Auth');
}

/** The X-Registry-Config header: registry address -> credentials. */
export function decodeAuthMap(header: string | undefined): ReadonlyMap<string, AuthConfig> {
  if (header === undefined || header === '') return new Map();
  const value = decodeJson(header, 'X-Registry-Config');
  if (!isObject(value)) throw invalidArgument('X-Registry-Config must hold an object of registry addresses');
  return new Map(
    Object.entries(value).map(([address, auth]) => [address, parseAuthConfig(auth, `X-Registry-Config.${address}`)]),
  );
}

export function parseAuthConfig(value: unknown, what: string): AuthConfig {
  if (value === null) return NO_AUTH;
  if (!isObject(value)) throw invalidArgument(`${what} must hold an object`);
  const text = (...names: readonly string[]): string => {
    for (const name of names) {
      const field = value[name];
      if (field === undefined || field === null) continue;
      if (typeof field !== 'string') throw invalidArgument(`${what}: ${name} must be a text`);
      return field;
    }
    return '';
  };
  const auth = {
    username: text('username', 'Username'),
    password: text('password', 'Password'),
    identityToken: text('identitytoken', 'IdentityToken'),
    registryToken: text('registrytoken', 'RegistryToken'),
    serverAddress: text('serveraddress', 'ServerAddress'),
  };
  return auth.username === '' ? withPacked(auth, text('auth', 'Auth')) : auth;
}

/** `auth` is base64 of `user:password`, as config files hold it. */
function withPacked(auth: AuthConfig, packed: string): AuthConfig {
  if (packed === '') return auth;
  const plain = Buffer.from(packed, 'base64').toString();
  const split = plain.indexOf(':');
  return split < 0 ? auth : { ...auth, username: plain.slice(0, split), password: plain.slice(split + 1) };
}

function decodeJson(header: string, what: string): unknown {
  const text = Buffer.from(header, 'base64url').toString();
  return text === '' ? {} : parseStrictJson(text, what);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

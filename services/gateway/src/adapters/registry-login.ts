import type { AuthConfig } from '@atoll/docker-api';
import { invalidArgument, unavailable } from '@atoll/errors';
import type { AuthVerdict } from '../resources/system/backend.ts';

const TIMEOUT_MS = 15_000;
/** Addresses of Docker's own registry, which has another name on the wire. */
const DOCKER_HUB = new Set(['', 'docker.io', 'index.docker.io', 'registry-1.docker.io']);

/** Asks a registry whether it takes credentials, by the token or basic scheme it names (distribution spec, auth). */
export async function checkRegistryLogin(auth: AuthConfig, signal: AbortSignal): Promise<AuthVerdict> {
  const host = registryHost(auth.serverAddress);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  const { base, response } = await reach(host, limit);
  await response.body?.cancel();
  if (response.ok) return { accepted: true, identityToken: '' };
  const challenge = response.headers.get('www-authenticate') ?? '';
  const answer = /^bearer\s/i.test(challenge)
    ? await askToken(challenge, base, auth, limit)
    : await fetch(`${base}/v2/`, { headers: basic(auth), signal: limit });
  if (answer.ok) {
    const token = /^bearer\s/i.test(challenge) ? await refreshToken(answer) : '';
    return { accepted: true, identityToken: token };
  }
  await answer.body?.cancel();
  return { accepted: false, why: `Get "${base}/v2/": unauthorized: incorrect username or password` };
}

function registryHost(address: string): string {
  const host = address.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  if (DOCKER_HUB.has(host)) return 'registry-1.docker.io';
  if (!/^[\w.-]+(:\d{1,5})?$|^\[[0-9a-f:]+\](:\d{1,5})?$/i.test(host)) {
    throw invalidArgument(`invalid value for serveraddress: "${address}" is not the address of a registry`);
  }
  return host;
}

/** Plain HTTP only on the machine itself, as docker's default. */
async function reach(host: string, signal: AbortSignal): Promise<{ base: string; response: Response }> {
  const plain = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/.test(host);
  for (const base of plain ? [`https://${host}`, `http://${host}`] : [`https://${host}`]) {
    try {
      return { base, response: await fetch(`${base}/v2/`, { redirect: 'manual', signal }) };
    } catch (cause) {
      if (base.startsWith('https') && plain && !signal.aborted) continue;
      throw unavailable(`Get "${base}/v2/": the registry cannot be reached`, { cause });
    }
  }
  throw unavailable(`the registry ${host} cannot be reached`);
}

async function askToken(challenge: string, base: string, auth: AuthConfig, signal: AbortSignal): Promise<Response> {
  const field = (name: string): string => new RegExp(`${name}="([^"]*)"`).exec(challenge)?.[1] ?? '';
  let url: URL;
  try {
    url = new URL(field('realm'));
  } catch (cause) {
    throw unavailable(`the registry at ${base} names no token server`, { cause });
  }
  // Credentials go to the server the registry names, but never in clear to another machine.
  if (url.protocol !== 'https:' && !base.startsWith('http:')) {
    throw unavailable(`the registry at ${base} names a token server without TLS (${url.origin})`);
  }
  url.searchParams.set('service', field('service'));
  url.searchParams.set('client_id', 'atoll');
  url.searchParams.set('offline_token', 'true');
  url.searchParams.set('account', auth.username);
  return await fetch(url, { headers: basic(auth), signal });
}

async function refreshToken(answer: Response): Promise<string> {
  const body = (await answer.json()) as { readonly refresh_token?: unknown };
  return typeof body.refresh_token === 'string' ? body.refresh_token : '';
}

function basic(auth: AuthConfig): Record<string, string> {
  return { Authorization: `Basic ${Buffer.from(`${auth.username}:${auth.password}`).toString('base64')}` };
}

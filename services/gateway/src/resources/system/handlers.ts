import { formatApiVersion, MAXIMUM_API_VERSION, MINIMUM_API_VERSION, parseAuthConfig } from '@atoll/docker-api';
import { invalidArgument, unauthenticated } from '@atoll/errors';
import { z } from 'zod';
import { sendJson } from '../../routing/reply.ts';
import { readJson } from '../../routing/request-body.ts';
import type { Handler } from '../../routing/request-context.ts';
import type { SystemBackend } from './backend.ts';
import { SERVER_VERSION } from './info.ts';

/** GET and HEAD /_ping */
export function ping(): Handler {
  return async ({ request, response }) => {
    response.writeHead(200, {
      'Content-Type': 'text/plain; charset=utf-8',
      'Cache-Control': 'no-cache, no-store, must-revalidate',
      Pragma: 'no-cache',
      'Content-Length': request.method === 'HEAD' ? 0 : 2,
    });
    response.end(request.method === 'HEAD' ? undefined : 'OK');
  };
}

/** GET /version */
export function systemVersion(backend: SystemBackend): Handler {
  return async ({ response }) => {
    const facts = backend.nodes().map(({ record }) => record.facts);
    const kernel = facts.find((fact) => fact !== undefined)?.kernelVersion ?? '';
    const arch = process.arch === 'x64' ? 'amd64' : process.arch;
    const api = formatApiVersion(MAXIMUM_API_VERSION);
    const minimum = formatApiVersion(MINIMUM_API_VERSION);
    const agents = [...new Set(facts.map((fact) => fact?.agentVersion).filter((version) => version !== undefined))];
    sendJson(response, 200, {
      Platform: { Name: 'Atoll' },
      Components: [
        {
          Name: 'Engine',
          Version: SERVER_VERSION,
          Details: {
            ApiVersion: api,
            MinAPIVersion: minimum,
            Arch: arch,
            BuildTime: '',
            Experimental: 'false',
            GitCommit: '',
            GoVersion: '',
            KernelVersion: kernel,
            Os: 'linux',
          },
        },
        { Name: 'gateway', Version: SERVER_VERSION, Details: { Node: process.version } },
        ...agents.map((version) => ({
          Name: 'node-agent',
          Version: version,
          Details: { Hosts: String(facts.length) },
        })),
      ],
      Version: SERVER_VERSION,
      ApiVersion: api,
      MinAPIVersion: minimum,
      GitCommit: '',
      GoVersion: '',
      Os: 'linux',
      Arch: arch,
      KernelVersion: kernel,
      BuildTime: '',
    });
  };
}

const AUTH_REQUEST = z.looseObject({});

/** POST /auth */
export function checkAuth(backend: SystemBackend): Handler {
  return async (context) => {
    const auth = parseAuthConfig(await readJson(context, AUTH_REQUEST), 'body');
    if (auth.username === '' && auth.identityToken === '') throw invalidArgument('username must be given');
    const verdict = await backend.checkAuth(auth, context.signal);
    if (!verdict.accepted) throw unauthenticated(verdict.why);
    sendJson(context.response, 200, { Status: 'Login Succeeded', IdentityToken: verdict.identityToken });
  };
}

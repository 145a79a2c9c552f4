import { request } from 'node:http';
import { failedPrecondition, unavailable } from '@atoll/errors';
import type { ClusterPaths } from './cluster-paths.ts';

const LIMIT_MS = 60_000;

/** Sends an order to the supervisor. Errors: unavailable when none answers, failed-precondition with what it said. */
export async function sendOrder(paths: ClusterPaths, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath: paths.controlSocket, path, method: 'POST', timeout: LIMIT_MS }, (response) => {
      let text = '';
      response.on('data', (chunk) => (text += String(chunk)));
      response.on('end', () => {
        if (response.statusCode === 204) resolve();
        else reject(failedPrecondition((JSON.parse(text || '{}') as { message?: string }).message ?? 'order refused'));
      });
    });
    call.on('timeout', () => call.destroy(new Error(`no answer in ${LIMIT_MS / 1000} s`)));
    call.on('error', (cause) =>
      reject(unavailable(`the supervisor of ${paths.name} does not answer: ${cause.message}`, { cause })),
    );
    call.end();
  });
}

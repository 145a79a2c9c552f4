import type { RequestListener } from 'node:http';
import { permissionDenied } from '@atoll/errors';
import { sendError } from '../routing/error-reply.ts';

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/**
 * On loopback without TLS a browser of this machine could be made to call us. Requests from web pages carry `Origin`, and a name
 * that was rebound to 127.0.0.1 shows in `Host`: both are refused.
 */
export function guardPlainTcp(handle: RequestListener): RequestListener {
  return (request, response) => {
    const host = (request.headers.host ?? '').replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
    if (request.headers.origin !== undefined || (host !== '' && !isLoopback(host))) {
      sendError(response, permissionDenied('requests of web pages and for other host names are refused on this port'));
      return;
    }
    handle(request, response);
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
  /** The specification's error code. */
  readonly code: string | undefined;
}

/** One request to the distribution API; redirects are not followed. */
export async function ask(base: string, method: string, path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(base + path, { method, redirect: 'manual', ...init });
  const body = Buffer.from(await response.arrayBuffer());
  const json = response.status >= 400 && body.length > 0 ? JSON.parse(body.toString()) : undefined;
  return { status: response.status, headers: response.headers, body, code: json?.errors?.[0]?.code };
}

export function bytesOfText(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(text));
}

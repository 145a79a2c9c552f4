import type { CopyInstruction } from '@atoll/dockerfile';
import { AtollError, invalidArgument } from '@atoll/errors';
import { destinationPath } from './paths.ts';

/** A COPY or ADD with its words expanded and checked. */
export interface CopyRequest {
  readonly kind: 'COPY' | 'ADD';
  readonly sources: readonly string[];
  /** Absolute; a slash at its end marks a directory. */
  readonly destination: string;
  readonly chown: string;
  readonly chmod: string;
}

export function copyRequest(
  instruction: CopyInstruction,
  workdir: string,
  expand: (word: string) => string,
): CopyRequest {
  const { kind } = instruction;
  const sources = instruction.sources.map(expand);
  for (const source of sources) refuseRemote(kind, source);
  const requested = expand(instruction.destination);
  if (requested === '') throw invalidArgument(`${kind} failed: the destination is empty`);
  const chmod = expand(instruction.chmod ?? '');
  if (chmod !== '' && !/^[0-7]{1,5}$/.test(chmod)) {
    throw invalidArgument(`invalid chmod parameter: '${chmod}'. it should be octal string and between 0 and 07777`);
  }
  return {
    kind,
    sources,
    destination: destinationPath(workdir, requested),
    chown: expand(instruction.chown ?? ''),
    chmod,
  };
}

/** The words of a COPY or ADD in the history. */
export function copyComment(request: CopyRequest, digest: string): string {
  const chown = request.chown === '' ? '' : `--chown=${request.chown} `;
  const chmod = request.chmod === '' ? '' : `--chmod=${request.chmod} `;
  return `${request.kind} ${chown}${chmod}${digest} in ${request.destination} `;
}

/** A failure of a COPY or ADD as Docker words it: `COPY failed: …`, once. */
export function copyFailure(kind: string, error: unknown): unknown {
  const prefix = `${kind} failed: `;
  if (!(error instanceof AtollError) || error.message.startsWith(prefix) || error.message.startsWith('When using')) {
    return error;
  }
  return new AtollError(error.reason, prefix + error.message, { cause: error, details: error.details });
}

export function tooManySources(kind: string): Error {
  return invalidArgument(
    `When using ${kind} with more than one source file, the destination must be a directory and end with a /`,
  );
}

function refuseRemote(kind: string, source: string): void {
  const url = /^https?:\/\//i.test(source);
  const git = /^(git:\/\/|ssh:\/\/|git@|github\.com\/)/i.test(source) || (url && /\.git(#.*)?$/i.test(source));
  if (!url && !git) return;
  if (kind === 'COPY') throw invalidArgument("source can't be a URL for COPY");
  throw invalidArgument(
    `ADD of a ${git ? 'git repository' : 'remote URL'} (${source}) is not supported by this builder; fetch it in a RUN`,
  );
}

import { randomInt } from 'node:crypto';
import { invalidArgument } from '@atoll/errors';

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** Docker's rule for names, with its text. Errors: invalid-argument. */
export function checkContainerName(name: string): void {
  if (NAME.test(name)) return;
  throw invalidArgument(`Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
}

const FIRST =
  'amber brisk calm coral dusky early fair gentle hazel ivory jolly keen lively mellow noble olive pearly quiet rapid sandy tidal umber vivid warm'.split(
    ' ',
  );
const SECOND =
  'anchor bay cape delta ebb fjord gull harbor inlet jetty keel lagoon marina narrows oyster pier quay reef shoal tern urchin vessel wharf yawl'.split(
    ' ',
  );

/** A name for a container nobody named, free according to `taken`. */
export function generateContainerName(taken: (name: string) => boolean): string {
  for (let attempt = 0; ; attempt++) {
    const base = `${FIRST[randomInt(FIRST.length)]}_${SECOND[randomInt(SECOND.length)]}`;
    const name = attempt < 4 ? base : `${base}${randomInt(1_000_000)}`;
    if (!taken(name)) return name;
  }
}

import { invalidArgument } from '@atoll/errors';

/** An EXPOSE item as keys of ExposedPorts: `80`, `80/udp`, `8000-8002/tcp`. */
export function exposedPorts(item: string): string[] {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(item);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  if (!match || first > 65_535 || last > 65_535 || last < first)
    throw invalidArgument(`invalid containerPort: ${item}`);
  const protocol = (match[3] ?? 'tcp').toLowerCase();
  return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol}`);
}

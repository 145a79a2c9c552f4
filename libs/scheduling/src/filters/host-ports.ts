import type { Filter, Refusal } from '../filter.ts';

const IN_USE: Refusal = {
  one: 'has a wanted host port in use',
  many: 'have a wanted host port in use',
  detail: (request) => request.claim.ports.map((port) => `${port.port}/${port.protocol}`).join(', '),
};

/** No other container of the host publishes one of the wanted ports. */
export const HOST_PORTS: Filter = {
  refuse: (node, { claim }) => {
    for (const port of claim.ports) if (node.ports.collides(port)) return IN_USE;
    return undefined;
  },
};

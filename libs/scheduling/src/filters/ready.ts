import type { Filter, Refusal } from '../filter.ts';

const DOWN: Refusal = { one: 'is down', many: 'are down' };
const PAUSED: Refusal = { one: 'is paused', many: 'are paused' };
const DRAINED: Refusal = { one: 'is drained', many: 'are drained' };

/** The host's agent is heard and its operator lets it take work. */
export const READY: Filter = {
  refuse: (node) => {
    if (!node.ready) return DOWN;
    if (node.availability === 'pause') return PAUSED;
    return node.availability === 'drain' ? DRAINED : undefined;
  },
};

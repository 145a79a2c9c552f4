import type { IdMap } from '../plan.ts';

/** Where containers of a test run: with the host's ids, or in user namespaces of their own. */
export const USER_NAMESPACE_MODES = ['without', 'with'] as const;

export type UserNamespaceMode = (typeof USER_NAMESPACE_MODES)[number];

/** Ids that nobody else on a host of tests has. */
export const TEST_IDS: IdMap = { uid: 1_000_000, gid: 2_000_000, size: 65_536 };

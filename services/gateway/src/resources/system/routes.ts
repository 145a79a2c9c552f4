import type { RouteFactories } from '../../routing/route-factories.ts';
import type { SystemBackend } from './backend.ts';
import { diskUsage } from './disk-usage.ts';
import { systemEvents } from './events.ts';
import { checkAuth, ping, systemVersion } from './handlers.ts';
import { systemInfo } from './info.ts';
import { inspectPlugin, listPlugins } from './plugins.ts';
import { inspectSwarm } from './swarm.ts';

export const SYSTEM_ROUTES = {
  SystemPing: ping,
  SystemPingHead: ping,
  SystemInfo: systemInfo,
  SystemVersion: systemVersion,
  SystemEvents: systemEvents,
  SystemDataUsage: diskUsage,
  SystemAuth: checkAuth,
  SwarmInspect: inspectSwarm,
  PluginList: listPlugins,
  PluginInspect: inspectPlugin,
} as const satisfies RouteFactories<SystemBackend>;

import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Logger } from '@atoll/logging';
import { buildV1, networkV1, runtimeV1 } from '@atoll/proto';
import { ChannelPool, GrpcHost, type TlsIdentity } from '@atoll/rpc';
import { AgentDelegate } from './agent/agent-delegate.ts';
import { detectCgroupMode } from './agent/cgroup-mode.ts';
import { LeaderFinder } from './agent/leader-finder.ts';
import { NodeAgent } from './agent/node-agent.ts';
import { detectNodeFacts } from './agent/node-facts.ts';
import { NodeMemory } from './agent/node-memory.ts';
import { OrderWorker } from './agent/order-worker.ts';
import { Session } from './agent/session.ts';
import { VolumeOrders } from './agent/volume-orders.ts';
import { BUILD_STEP_SERVICE_ROLES, buildStepService } from './api/grpc/build-step-service.ts';
import { RUNTIME_SERVICE_ROLES, runtimeService } from './api/grpc/runtime-service.ts';
import { VOLUME_DATA_SERVICE_ROLES, volumeDataService } from './api/grpc/volume-data-service.ts';
import { ApiRelay } from './api-relay/api-relay.ts';
import { Gateways } from './api-relay/gateways.ts';
import { AppArmor } from './apparmor/apparmor.ts';
import { ContainerArchive } from './archive/container-archive.ts';
import { ShimFilesystem } from './archive/shim-filesystem.ts';
import type { AgentConfig } from './config.ts';
import { ContainerFiles } from './containers/container-files.ts';
import { ContainerManager } from './containers/container-manager.ts';
import { ContainerNetworks } from './containers/container-networks.ts';
import { cgroupPathOf, type PlanHost } from './containers/container-plan.ts';
import { hostDevices } from './containers/host-devices.ts';
import { ensureInitLayer } from './containers/init-layer.ts';
import { initProgram } from './containers/init-program.ts';
import { Launcher } from './containers/launcher.ts';
import { ownCapabilities } from './containers/own-capabilities.ts';
import { checkedRuntimes } from './containers/runtimes.ts';
import { hasSwapAccounting } from './containers/swap-accounting.ts';
import { usableRemap } from './containers/userns-remap.ts';
import { ExecRegistry } from './execs/exec-registry.ts';
import { ExecStarter } from './execs/exec-starter.ts';
import { diskRoom } from './files/disk-room.ts';
import { HealthMonitor } from './health/health-monitor.ts';
import { FsLayerStore } from './images/fs-layer-store.ts';
import { LayerDirectory } from './images/layer-directory.ts';
import { RegistryBlobs } from './images/registry-blobs.ts';
import { bridgeNameOf } from './network/bridge.ts';
import { NameServer } from './network/dns/name-server.ts';
import { ForwardedPorts } from './network/forwarded-ports.ts';
import { HostLinks } from './network/host-links.ts';
import { HostNetwork } from './network/host-network.ts';
import { onLinkRoutes } from './network/on-link-routes.ts';
import { parentInterfaces } from './network/parent-interfaces.ts';
import { probeListener } from './network/port-probe.ts';
import { StateJournal } from './network/state-journal.ts';
import { LINK_PREFIX } from './network/user/endpoint-links.ts';
import { BRIDGE_PREFIX, VXLAN_PREFIX } from './network/user/overlay-device.ts';
import { UserNetworks } from './network/user/user-networks.ts';
import { WireGuard } from './network/wireguard/wireguard.ts';
import { WIREGUARD_PREFIX, wireguardDeviceOf } from './network/wireguard/wireguard-device.ts';
import { armFailpoint } from './processes/failpoint.ts';
import { dockerSeccompProgram } from './runtime/seccomp/docker-seccomp.ts';
import { ShimSpawner } from './runtime/shim-spawner.ts';
import { ShimTools } from './runtime/shim-tools.ts';
import { VolumeTools } from './runtime/volume-tools.ts';
import { SELinux } from './selinux/selinux.ts';
import { CgroupV1Reader } from './stats/cgroup-v1.ts';
import { CgroupV2Reader } from './stats/cgroup-v2.ts';
import { StatsSampler } from './stats/stats-sampler.ts';
import type { BuildHost } from './steps/build-host.ts';
import { LayerCommitter } from './steps/layer-committer.ts';
import { StepWorkspaces } from './steps/step-workspaces.ts';
import { MountResolver } from './volumes/mount-resolver.ts';
import { VolumeCopies } from './volumes/volume-copies.ts';
import { VOLUME_DATA_SERVICE } from './volumes/volume-data-definition.ts';
import { VolumeKept } from './volumes/volume-kept.ts';
import { VolumeMounts } from './volumes/volume-mounts.ts';
import { VolumeStore } from './volumes/volume-store.ts';
import { VolumeTransfer } from './volumes/volume-transfer.ts';
import { VolumeUsers } from './volumes/volume-users.ts';

/** Of the interfaces of networks of users and of links to containers. */
const OWN_PREFIXES = [BRIDGE_PREFIX, VXLAN_PREFIX, LINK_PREFIX, WIREGUARD_PREFIX];

const TOOL_MS = 20_000;

/** Puts the agent together from its parts; nothing runs before its `start`. */
export async function composeAgent(config: AgentConfig, tls: TlsIdentity, logger: Logger): Promise<NodeAgent> {
  armFailpoint(config.ATOLL_FAILPOINT);
  const root = config.ATOLL_DATA_ROOT;
  const shim = config.ATOLL_SHIM;
  await mkdir(root, { recursive: true, mode: 0o711 });
  const emptyLayer = join(root, 'empty');
  await mkdir(emptyLayer, { recursive: true, mode: 0o755 });
  const initLayer = await ensureInitLayer(join(root, 'init'));
  const runtimes = await checkedRuntimes(config.ATOLL_RUNTIMES);
  const memory = await NodeMemory.open(root);
  const channels = new ChannelPool(tls);
  const blobs = new RegistryBlobs(() => channels.get(config.ATOLL_REGISTRY, 'registry'));
  const spawner = await ShimSpawner.start(shim, join(root, 'spawner'));
  const tools = new ShimTools(shim);
  const remap = await usableRemap(config.ATOLL_USERNS_REMAP, tools, join(root, 'userns-check'));
  const bridge = config.ATOLL_BRIDGE ?? bridgeNameOf(tls.id);
  const wireguard = await WireGuard.open({
    device: wireguardDeviceOf(bridge),
    folder: join(root, 'wireguard'),
    port: config.ATOLL_WIREGUARD_PORT,
    logger,
  });
  const apparmor = await AppArmor.open({ hostname: config.ATOLL_HOSTNAME, dataRoot: root, logger });
  const files = await ContainerFiles.open(join(root, 'containers'), spawner, logger);
  const storage = await tools.storageLimits(join(root, 'containers'), AbortSignal.timeout(TOOL_MS));
  const selinux = await SELinux.open({
    setting: config.ATOLL_SELINUX,
    hostname: config.ATOLL_HOSTNAME,
    find: (id) => containers.find(id),
    statuses: () => containers.list().map(({ status }) => status),
  });
  const facts = await detectNodeFacts(config, runtimes, remap, wireguard, apparmor, storage, selinux);
  const filesystem = new ShimFilesystem(tools, () => diskRoom(root));
  const layers = new FsLayerStore({
    directory: await LayerDirectory.open(join(root, 'layers')),
    root,
    blobs,
    unpacker: filesystem,
    keepMs: config.ATOLL_LAYER_KEEP_HOURS * 3_600_000,
    diskPercent: config.ATOLL_LAYER_DISK_PERCENT,
    logger,
  });
  const unifiedCgroups = (await detectCgroupMode()) === 'v2';
  const host: PlanHost = {
    cgroupParent: config.ATOLL_CGROUP_PARENT,
    capabilities: await ownCapabilities(),
    swapAccounting: await hasSwapAccounting(),
    unifiedCgroups,
    hostname: config.ATOLL_HOSTNAME,
    remap,
    init: await initProgram(join(dirname(shim), 'atoll-init'), root, selinux.facts.enabled),
    apparmor,
    selinux,
    runtimes,
    find: (id) => containers.find(id),
    devices: await hostDevices(),
    seccomp: dockerSeccompProgram,
  };
  const isOwnLink = (name: string): boolean => name === bridge || OWN_PREFIXES.some((own) => name.startsWith(own));
  const network = new HostNetwork({
    bridge,
    mtu: config.ATOLL_MTU,
    shim,
    logger,
  });
  const networks = new UserNetworks({
    nodeId: tls.id,
    hostIp: config.ATOLL_HOST_IP,
    fallbackMtu: config.ATOLL_MTU,
    defaultBridge: bridge,
    wireguard,
    shim,
    journal: await StateJournal.open(join(root, 'networks'), networkV1.NetworkState),
    endpoints: () => containers.list().flatMap(({ record }) => record.endpoints),
    logger,
  });
  const forwarded = new ForwardedPorts({
    hostIp: config.ATOLL_HOST_IP,
    hostIpv6: facts.hostIpv6,
    forwarding: network,
    probe: probeListener,
    journal: await StateJournal.open(join(root, 'ports'), networkV1.PortState),
    logger,
  });
  const names = await NameServer.open(join(root, 'dns'), {
    networks,
    container: (id) => containers.find(id)?.record,
    logger,
  });
  networks.onChange((id) => names.networkChanged(id));
  const gateways = new Gateways(tls);
  const apiRelay = await ApiRelay.open(join(root, 'api'), {
    gateways,
    container: (id) => containers.find(id)?.record,
  });
  const volumes = new VolumeStore(join(root, 'volumes'));
  const volumeMounts = new VolumeMounts(root);
  const launcher = new Launcher({
    spawner,
    tools,
    files,
    layers,
    network,
    networks: new ContainerNetworks(networks, names.path),
    mounts: new MountResolver(volumes, volumeMounts, filesystem, { dataRoot: root, emptyLayer }),
    volumes,
    volumeMounts,
    host,
    initLayer,
    apiRelay: apiRelay.path,
  });
  const containers = new ContainerManager({ nodeId: tls.id, launcher, logger });
  const volumeTools = new VolumeTools(shim);
  const transfer = new VolumeTransfer({
    volumes,
    copies: await VolumeCopies.open(join(root, 'volume-copies'), volumes, volumeTools),
    kept: await VolumeKept.open(join(root, 'volume-kept')),
    tools: volumeTools,
    users: new VolumeUsers(() => containers.list()),
    channels,
    room: () => diskRoom(root),
  });
  const volumeOrders = new VolumeOrders(containers, transfer, (progress) => session.progress(progress));
  const links = new HostLinks({
    onLinkRoutes: () => onLinkRoutes(isOwnLink),
    parentInterfaces: () => parentInterfaces(isOwnLink),
    tell: (value) => session.links(value),
    lookMs: config.ATOLL_LINKS_SECONDS * 1_000,
    logger,
  });
  const session = new Session({
    channels,
    leaders: new LeaderFinder(config.ATOLL_SCHEDULERS),
    memory,
    delegate: new AgentDelegate(
      facts,
      links,
      containers,
      network,
      networks,
      forwarded,
      gateways,
      new OrderWorker(tls.id, containers, memory, volumeOrders),
      transfer,
      logger,
    ),
    logger,
  });
  const registry = new ExecRegistry((id) => files.directory(id));
  const starter = new ExecStarter({
    spawner,
    tools,
    containers,
    registry,
    host,
    onEvent: (event) => session.event(event),
  });
  const health = new HealthMonitor({
    spawner,
    tools,
    host,
    containers,
    onEvent: (event) => session.event(event),
    logger,
  });
  const cgroups = unifiedCgroups ? new CgroupV2Reader() : new CgroupV1Reader();
  const cgroupPath = (id: string): string => cgroupPathOf(containers.find(id)?.record ?? { id, spec: undefined }, host);
  const archive = new ContainerArchive(filesystem);
  const committer = new LayerCommitter({ filesystem, blobs, layers });
  const steps: BuildHost = {
    workspaces: await StepWorkspaces.open(join(root, 'builds'), tools),
    committer,
    layers,
    filesystem,
    tools,
    spawner,
    network,
    host,
    initLayer,
    emptyLayer,
  };
  const grpc = new GrpcHost({
    listen: config.ATOLL_LISTEN,
    tls,
    onInternalError: (method, error) => logger.error({ method, err: error }, 'a call failed'),
  })
    .add(
      runtimeV1.RuntimeServiceService,
      RUNTIME_SERVICE_ROLES,
      runtimeService({
        containers,
        registry,
        starter,
        health,
        stats: new StatsSampler(cgroups, cgroupPath),
        cgroups,
        cgroupPath,
        archive,
        layers,
        volumes,
        committer,
      }),
    )
    .add(VOLUME_DATA_SERVICE, VOLUME_DATA_SERVICE_ROLES, volumeDataService(transfer))
    .add(buildV1.BuildStepServiceService, BUILD_STEP_SERVICE_ROLES, buildStepService(steps));
  return new NodeAgent({
    containers,
    network,
    networks,
    forwarded,
    names,
    apiRelay,
    layers,
    memory,
    host: grpc,
    session,
    links,
    health,
    spawner,
    execs: registry,
    apparmor,
    logger,
  });
}

import { readFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { defaultBridgeOf, volumeSource } from '@atoll/docker-api';
import { cancelled, hasReason } from '@atoll/errors';
import { containerV1 } from '@atoll/proto';
import { unlessMissing } from '../files/missing.ts';
import type { LayerLease, LayerStore } from '../images/layer-store.ts';
import { endpointFile, readEndpoint } from '../network/endpoint-file.ts';
import { type Endpoint, type HostNetwork, publishedPorts } from '../network/host-network.ts';
import { networkFilePaths, networkFiles, rewriteNetworkFiles } from '../network/network-files.ts';
import type { PublishedPort } from '../network/nft-ruleset.ts';
import type { PlacedEndpoint } from '../network/user/endpoint-links.ts';
import { addressesOf } from '../network/user/membership.ts';
import { failpoint } from '../processes/failpoint.ts';
import { Semaphore } from '../processes/semaphore.ts';
import { bundlePath } from '../runtime/bundle.ts';
import { type BundleFile, launchShim } from '../runtime/launch-shim.ts';
import { ShimClient } from '../runtime/shim-client.ts';
import type { ShimSpawner } from '../runtime/shim-spawner.ts';
import type { ShimState } from '../runtime/shim-state.ts';
import type { ShimTools } from '../runtime/shim-tools.ts';
import type { MountResolver } from '../volumes/mount-resolver.ts';
import type { VolumeMounts } from '../volumes/volume-mounts.ts';
import type { VolumeStore } from '../volumes/volume-store.ts';
import { changeBridge } from './bridge-change.ts';
import type { ContainerFiles } from './container-files.ts';
import { acquireLayers, type ContainerLayers } from './container-layers.ts';
import type { ContainerNetworks } from './container-networks.ts';
import { containerPlan, hostnames, type PlanHost } from './container-plan.ts';
import { customDevices } from './custom-devices.ts';
import { type ExitRecord, parseExitRecord } from './exit-record.ts';
import { linkedHosts } from './links.ts';
import { sharedWithNeighbours } from './neighbours.ts';
import { ociBundleFile } from './oci-bundle.ts';
import { requireSupported } from './supported-spec.ts';

export interface LauncherOptions {
  readonly spawner: ShimSpawner;
  readonly tools: ShimTools;
  readonly files: ContainerFiles;
  readonly layers: LayerStore;
  readonly network: HostNetwork;
  readonly networks: ContainerNetworks;
  readonly mounts: MountResolver;
  readonly volumes: VolumeStore;
  readonly volumeMounts: VolumeMounts;
  readonly host: PlanHost;
  /** See `ensureInitLayer`. */
  readonly initLayer: string;
  /** Path of the socket that carries connections of containers to the cluster's API. */
  readonly apiRelay: string;
}

/** A container prepared up to its exec. */
export interface Launched {
  readonly client: ShimClient;
  readonly lease: LayerLease;
  readonly endpoint: Endpoint | undefined;
  readonly volumePaths: Readonly<Record<string, string>>;
  /** Empty where the kernel has no AppArmor. */
  readonly apparmorProfile: string;
  /** Empty where the host does not use SELinux. */
  readonly processLabel: string;
  readonly mountLabel: string;
  readonly warnings: string;
}

const PARALLEL_LAUNCHES = 8;
const CLEAN_UP_MS = 30_000;
const CLEAN_UP_PAUSE_MS = 20;

/** Makes what a container needs on this host, and takes it down. Knows no states. */
export class Launcher {
  readonly options: LauncherOptions;
  readonly #slots = new Semaphore(PARALLEL_LAUNCHES);

  constructor(options: LauncherOptions) {
    this.options = options;
  }

  /** When it rejects, nothing is left of the attempt but the container's own files. */
  async launch(
    record: containerV1.ContainerRecord,
    onState: (state: ShimState) => void,
    signal: AbortSignal,
  ): Promise<Launched> {
    const { layers, network, networks } = this.options;
    const spec = record.spec ?? containerV1.ContainerSpec.fromPartial({});
    requireSupported(spec);
    const bridge = defaultBridgeOf(record);
    const placing = networks.place(record);
    placing.catch(() => undefined);
    const [lease] = await Promise.all([acquireLayers(layers, spec, signal), bridge ? network.ready() : undefined]);
    const endpoint = bridge && network.take(record.id, bridge.macAddress, bridge.interfaceName);
    try {
      const links = { endpoint, placed: await placing };
      return await this.#slots.run(() => this.#launch(record, spec, lease, links, onState, signal));
    } catch (error) {
      lease.release();
      this.options.host.selinux.release(record.id);
      await this.options.volumeMounts.release(record.id).catch(() => undefined);
      if (endpoint) network.release(record.id, endpoint.address);
      throw error;
    }
  }

  /** The connection to a shim that runs already, and its address; rejects with unavailable when there is none. */
  async reconnect(
    record: containerV1.ContainerRecord,
    onState: (state: ShimState) => void,
    signal: AbortSignal,
  ): Promise<{ readonly client: ShimClient; readonly endpoint: Endpoint | undefined }> {
    const { files, network, volumes, volumeMounts } = this.options;
    const client = await ShimClient.connect(files.directory(record.id), onState, signal);
    const endpoint = await readEndpoint(files.directory(record.id));
    if (endpoint) network.claim(record.id, endpoint);
    network.remember(record.id, this.#ports(record, endpoint));
    for (const { type, source, volumeOptions } of record.spec?.mounts ?? []) {
      if (type === 'volume' && volumeSource(volumeOptions)) volumeMounts.claim(volumes.path(source), record.id);
    }
    return { client, endpoint };
  }

  /** Brings a run's links to what the record says, and its ports to where they lead to now; its place on the default bridge then. */
  async connect(
    record: containerV1.ContainerRecord,
    client: ShimClient,
    before: Endpoint | undefined,
    running: boolean,
    signal: AbortSignal,
  ): Promise<Endpoint | undefined> {
    const { networks, network, files, host } = this.options;
    const directory = files.directory(record.id);
    const placed = await networks.place(record);
    const link = async (bridge: Endpoint | undefined): Promise<void> => {
      const { links, ...rest } = networks.plan(placed, bridge, directory).endpoints;
      const all = bridge ? [network.link(record.id, bridge), ...links] : links;
      await client.connectNetworks({ ...rest, links: all }, signal);
    };
    const endpoint = await changeBridge(record, before, { network, directory, link });
    const identity = {
      ...hostnames(record, host),
      address: endpoint?.address ?? '',
      gateway: endpoint?.gateway ?? '',
      others: placed.flatMap((one) => addressesOf(one.endpoint)),
      named: placed.length > 0,
    };
    await rewriteNetworkFiles(directory, record.spec?.network, identity);
    if (running) await this.publish(record, endpoint);
    // Nobody else gets it before ports have ceased to lead there.
    if (before && before.address !== endpoint?.address) network.release(record.id, before.address);
    return endpoint;
  }

  /** Right before its start: what it is to be confined by is there. Throws failed-precondition. */
  async requireProfile({ spec }: containerV1.ContainerRecord): Promise<void> {
    const { apparmor } = this.options.host;
    await apparmor.ready(apparmor.profileOf(spec?.security ?? containerV1.Security.fromPartial({})));
  }

  /** Publishes the ports of a container that runs or is about to. Throws conflict when one is taken. */
  async publish(record: containerV1.ContainerRecord, endpoint: Endpoint | undefined): Promise<void> {
    const own = endpoint && { mac: endpoint.macAddress, address: endpoint.address };
    await this.options.network.publish(record.id, own, this.#ports(record, endpoint));
  }

  /** Gives back what a run had of this host's network. Safe to repeat. */
  async settle(id: string, address: string): Promise<void> {
    await this.options.network.withdraw(id);
    await this.options.volumeMounts.release(id);
    if (address !== '') this.options.network.release(id, address);
  }

  /** Takes down what a supervisor has left that was killed; afterwards the exit record says how the run ended. */
  async cleanUp(id: string): Promise<void> {
    const { tools, files } = this.options;
    const deadline = AbortSignal.timeout(CLEAN_UP_MS);
    for (;;) {
      try {
        return await tools.cleanup(files.directory(id), deadline);
      } catch (error) {
        // It lives, taking things down itself: let it.
        if (!hasReason(error, 'conflict') || deadline.aborted) throw error;
        await sleep(CLEAN_UP_PAUSE_MS);
      }
    }
  }

  /** How the last run ended, if its end was written down. */
  async exitRecord(id: string): Promise<ExitRecord | undefined> {
    const path = bundlePath(this.options.files.directory(id), 'exit');
    const text = await unlessMissing(readFile(path, 'utf8'));
    return text === undefined ? undefined : parseExitRecord(text);
  }

  async #launch(
    record: containerV1.ContainerRecord,
    spec: containerV1.ContainerSpec,
    lease: ContainerLayers,
    { endpoint, placed }: { readonly endpoint: Endpoint | undefined; readonly placed: readonly PlacedEndpoint[] },
    onState: (state: ShimState) => void,
    signal: AbortSignal,
  ): Promise<Launched> {
    const { files, mounts, network, networks, host, spawner } = this.options;
    failpoint('create.2-held');
    if (signal.aborted) throw cancelled(`container ${record.id} is being removed`);
    const directory = files.directory(record.id);
    const { endpoints } = networks.plan(placed, endpoint, directory);
    const identity = {
      ...hostnames(record, host),
      address: endpoint?.address ?? '',
      gateway: endpoint?.gateway ?? '',
      links: linkedHosts(spec, host.find),
      others: placed.flatMap((one) => addressesOf(one.endpoint)),
      named: placed.length > 0,
    };
    const labels = await host.selinux.labelsOf(record);
    const [resolved, own, devices, shared] = await Promise.all([
      mounts.resolve(
        record.id,
        spec.mounts,
        { directories: lease.directories, images: lease.images, apiSocket: bundlePath(directory, 'apiSocket'), labels },
        signal,
      ),
      networkFiles(directory, spec.network, identity),
      customDevices(spec.resources),
      sharedWithNeighbours(spec, host.find),
    ]);
    const parts = {
      root: {
        kind: 'overlay' as const,
        lowers: [this.options.initLayer, ...lease.directories],
        upper: files.upper(record.id),
        work: files.work(record.id),
        readonly: spec.security?.readOnlyRootfs ?? false,
        storageLimit: spec.resources?.storageLimit || undefined,
      },
      network: endpoint && network.plan(record.id, endpoint),
      endpoints: placed.length > 0 ? endpoints : undefined,
      mounts: resolved.mounts,
      devices,
      shared,
      labels,
      api: spec.mounts.some(({ apiSocket }) => apiSocket) ? relative(directory, this.options.apiRelay) : undefined,
      files: shared.filesOf === undefined ? own.paths : networkFilePaths(files.directory(shared.filesOf)),
      logDirectory: files.logs(record.id),
    };
    const plan = containerPlan(record, parts, host);
    const ofRuntime: BundleFile[] = [];
    if (plan.runtime !== undefined) {
      await files.create(record);
      ofRuntime.push(await ociBundleFile({ bundle: directory, plan, spec, tools: this.options.tools }, signal));
    }
    const launch = {
      bundle: directory,
      files: [files.recordFile(record), ...own.files, endpointFile(endpoint), ...ofRuntime],
      plan,
    };
    failpoint('create.3-planned');
    const { client, warnings } = await launchShim(spawner, launch, onState, signal);
    failpoint('create.4-prepared');
    const { volumePaths } = resolved;
    const apparmorProfile = plan.process.apparmor ?? '';
    const [processLabel, mountLabel] = [labels?.process ?? '', labels?.mount ?? ''];
    return { client, lease, endpoint, volumePaths, apparmorProfile, processLabel, mountLabel, warnings };
  }

  /** None of a container without a way out. */
  #ports(record: containerV1.ContainerRecord, endpoint: Endpoint | undefined): readonly PublishedPort[] {
    return publishedPorts(record.ports, this.options.networks.published(record, endpoint));
  }
}

import { type containerV1, networkV1 } from '@atoll/proto';
import { type DesiredView, watchDesired } from './desired-view.ts';
import { createContainer, until } from './requests.ts';
import type { SimulatedAgent, SimulatedAgentOptions } from './simulated-agent.ts';
import { startTestCluster, type TestCluster, type TestClusterOptions } from './test-cluster.ts';

type EndpointInput = Parameters<typeof networkV1.EndpointSpec.fromPartial>[0];
interface Named {
  readonly id: string;
}

/** A cluster of hosts h1, h2 …, and short words for what tests of networks do with it. */
export class NetworkBench {
  readonly cluster: TestCluster;
  readonly view: DesiredView;

  private constructor(cluster: TestCluster, view: DesiredView) {
    this.cluster = cluster;
    this.view = view;
  }

  static async start(
    hosts: number,
    agent: Partial<SimulatedAgentOptions> = {},
    options: TestClusterOptions = {},
  ): Promise<NetworkBench> {
    const cluster = await startTestCluster(options);
    for (let number = 1; number <= hosts; number++) await cluster.addAgent(`h${number}`, agent);
    return new NetworkBench(cluster, await watchDesired(cluster.nats.url));
  }

  async stop(): Promise<void> {
    await this.view.close();
    await this.cluster.stop();
  }

  agent(id: string): SimulatedAgent {
    const found = this.cluster.agents.find((one) => one.id === id);
    if (!found) throw new Error(`no agent ${id}`);
    return found;
  }

  /** Creates a container on a host in one network. */
  on(host: string, network: string, endpoint: EndpointInput = {}): Promise<containerV1.ContainerRecord> {
    return createContainer(this.cluster.leader, {
      constraints: [`node.hostname==${host}`],
      network: { mode: network, endpoints: [{ network, ...endpoint }] },
    });
  }

  /** Creates a container on a host without networks of users. */
  plain(host: string, mode = 'default'): Promise<containerV1.ContainerRecord> {
    return createContainer(this.cluster.leader, { constraints: [`node.hostname==${host}`], network: { mode } });
  }

  start({ id }: Named): Promise<containerV1.StartContainerResponse> {
    return this.cluster.leader.containers.startContainer({ id });
  }

  remove({ id }: Named): Promise<unknown> {
    return this.cluster.leader.containers.removeContainer({ id, force: true, volumes: false });
  }

  connect(
    network: Named,
    container: Named,
    endpoint: EndpointInput = {},
    endpointId = '',
  ): Promise<networkV1.ConnectContainerResponse> {
    return this.cluster.leader.networks.connectContainer({
      networkId: network.id,
      containerId: container.id,
      endpoint: networkV1.EndpointSpec.fromPartial(endpoint),
      endpointId,
    });
  }

  disconnect(network: Named, container: Named, force = false): Promise<networkV1.DisconnectContainerResponse> {
    const request = { networkId: network.id, containerId: container.id, force };
    return this.cluster.leader.networks.disconnectContainer(request);
  }

  /** A container's record as stored, once it is as new as that. */
  async record({ id }: Named, revision: bigint): Promise<containerV1.ContainerRecord> {
    await until(() => (this.view.containers.get(id)?.revision ?? 0n) >= revision);
    const found = this.view.containers.get(id);
    if (!found) throw new Error(`no record ${id}`);
    return found;
  }
}

import { type Command, Option } from 'commander';
import { DockerApi } from '../demo/docker-api.ts';
import { type ClusterFlags, pathsOf, requireRunning, withCluster } from './command-context.ts';
import { parsePortSpec, portBindings, portLines } from './port-spec.ts';

interface AddFlags extends ClusterFlags {
  readonly mode: string;
}

interface Answer {
  readonly Ports: ReturnType<typeof portBindings>;
}

export function addPort(program: Command): void {
  const port = program.command('port').description('published ports of containers that exist, running ones too');
  withCluster(
    port
      .command('add <container> <port...>')
      .description('publish ports: [[hostip:]hostport:]containerport[/proto]')
      .addOption(
        new Option('--mode <mode>', "on every host, or the container's only")
          .choices(['ingress', 'host'])
          .default('ingress'),
      ),
  ).action((container: string, ports: string[], flags: AddFlags) =>
    change(flags, `/containers/${encodeURIComponent(container)}/ports`, ports, { Mode: flags.mode }),
  );
  withCluster(
    port.command('remove <container> <port...>').description('withdraw ports; one without a host port on all of them'),
  ).action((container: string, ports: string[], flags: ClusterFlags) =>
    change(flags, `/containers/${encodeURIComponent(container)}/ports/remove`, ports, {}),
  );
}

/** Prints the ports that came or went, as `docker port` does. */
async function change(flags: ClusterFlags, path: string, ports: readonly string[], more: object): Promise<void> {
  const json = { PortBindings: portBindings(ports.map(parsePortSpec)), ...more };
  const paths = pathsOf(flags);
  await requireRunning(paths);
  const { Ports } = await new DockerApi(paths.dockerSocket).json<Answer>(path, { method: 'POST', json });
  process.stdout.write(portLines(Ports));
}

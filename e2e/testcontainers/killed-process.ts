/**
 * A test process that has started containers on all hosts, a network, a volume and an image, says so in a line of JSON, and is then
 * killed by whoever started it. Its argument is a folder with a Dockerfile.
 */
import { GenericContainer, getContainerRuntimeClient, Network, Wait } from 'testcontainers';

const SESSION = 'org.testcontainers.session-id';
const image = await GenericContainer.fromDockerfile(process.argv[2] ?? '').build();
const network = await new Network().start();
const containers = await Promise.all(
  Array.from({ length: 6 }, () =>
    image
      .withNetwork(network)
      .withCommand(['sh', '-c', 'echo up; sleep 3600'])
      .withWaitStrategy(Wait.forLogMessage('up'))
      .start(),
  ),
);
const session = containers[0]?.getLabels()[SESSION] ?? '';
const client = await getContainerRuntimeClient();
await client.container.dockerode.createVolume({ Name: `kept-${session}`, Labels: { [SESSION]: session } });
process.stdout.write(`${JSON.stringify({ session, containers: containers.map((one) => one.getId()) })}\n`);
setInterval(() => undefined, 60_000);

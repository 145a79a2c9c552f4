/** A test program that is itself in a container, with the Docker socket: prints what it got from a server by the mapped port. */
import { GenericContainer, Wait } from 'testcontainers';

const server = await new GenericContainer('busybox')
  .withCommand(['sh', '-c', 'echo from within >/www/index.html; httpd -f -p 80 -h /www'])
  .withExposedPorts(80)
  .withWaitStrategy(Wait.forListeningPorts())
  .start();
const answer = await fetch(`http://${server.getHost()}:${server.getMappedPort(80)}/`);
process.stdout.write(`${JSON.stringify([server.getHost(), (await answer.text()).trim()])}\n`);
await server.stop();

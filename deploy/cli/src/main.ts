import { Command, CommanderError } from 'commander';
import { exitCodeOf } from './exit-code.ts';

const EXAMPLES = `Examples:
  ./atoll demo                       see it work on three hosts made of namespaces
  ./atoll up --hosts 3 --detach      start a cluster in the background
  ./atoll status                     its processes and hosts
  ./atoll down                       end it; its data stays
  ./atoll doctor                     what this machine lacks, and how to fix it
`;

type AddCommand = (program: Command) => void;

/** In the order of the help text. Only the command that is asked for is loaded: gRPC and X.509 code takes a while. */
const COMMANDS: Readonly<Record<string, () => Promise<AddCommand>>> = {
  demo: async () => (await import('./commands/demo.ts')).addDemo,
  up: async () => (await import('./commands/up.ts')).addUp,
  down: async () => (await import('./commands/down.ts')).addDown,
  status: async () => (await import('./commands/status.ts')).addStatus,
  doctor: async () => (await import('./commands/doctor.ts')).addDoctor,
  test: async () => (await import('./commands/test.ts')).addTest,
  bench: async () => (await import('./commands/bench.ts')).addBench,
  init: async () => (await import('./commands/init.ts')).addInit,
  token: async () => (await import('./commands/token.ts')).addToken,
  join: async () => (await import('./commands/join.ts')).addJoin,
  leave: async () => (await import('./commands/leave.ts')).addLeave,
  node: async () => (await import('./commands/node.ts')).addNode,
  port: async () => (await import('./commands/port.ts')).addPort,
  volume: async () => (await import('./commands/volume.ts')).addVolume,
  host: async () => (await import('./commands/host.ts')).addHost,
  service: async () => (await import('./commands/host.ts')).addService,
  version: async () => (await import('./commands/version.ts')).addVersion,
};

async function buildProgram(asked: string | undefined): Promise<Command> {
  const program = new Command('atoll')
    .description('One Docker API for many machines')
    .showSuggestionAfterError()
    .addHelpText('before', EXAMPLES);
  const one = asked === undefined ? undefined : COMMANDS[asked];
  for (const load of one ? [one] : Object.values(COMMANDS)) (await load())(program);
  // Failures come back here as exceptions, from subcommands too.
  const all = (command: Command): Command[] => [command, ...command.commands.flatMap(all)];
  for (const command of all(program)) command.exitOverride();
  return program;
}

try {
  await (await buildProgram(process.argv[2])).parseAsync(process.argv);
} catch (error) {
  // Commander has printed its own messages already.
  if (!(error instanceof CommanderError)) {
    process.stderr.write(`atoll: ${error instanceof Error ? error.message : String(error)}\n`);
  }
  // At once: work that was interrupted may still wait for something.
  process.exit(exitCodeOf(error));
}

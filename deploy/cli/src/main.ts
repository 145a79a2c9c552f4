import { Command, CommanderError } from 'commander';
import { addDemo } from './commands/demo.ts';
import { addDoctor } from './commands/doctor.ts';
import { addDown } from './commands/down.ts';
import { addHost } from './commands/host.ts';
import { addInit } from './commands/init.ts';
import { addJoin } from './commands/join.ts';
import { addLeave } from './commands/leave.ts';
import { addNode } from './commands/node.ts';
import { addStatus } from './commands/status.ts';
import { addTest } from './commands/test.ts';
import { addToken } from './commands/token.ts';
import { addUp } from './commands/up.ts';
import { addVersion } from './commands/version.ts';
import { exitCodeOf } from './exit-code.ts';

const EXAMPLES = `
Examples:
  ./atoll demo                       see it work on three hosts made of namespaces
  ./atoll up --hosts 3 --detach      start a cluster in the background
  ./atoll status                     its processes and hosts
  ./atoll down                       end it; its data stays
  ./atoll doctor                     what this machine lacks, and how to fix it
`;

function buildProgram(): Command {
  const program = new Command('atoll')
    .description('One Docker API for many machines')
    .configureHelp({ showGlobalOptions: false })
    .showSuggestionAfterError()
    .addHelpText('after', EXAMPLES)
    .exitOverride();
  for (const add of [
    addDemo,
    addUp,
    addDown,
    addStatus,
    addDoctor,
    addTest,
    addInit,
    addToken,
    addJoin,
    addLeave,
    addNode,
    addHost,
    addVersion,
  ])
    add(program);
  // exitOverride is not handed down to commands made before it; each gets its own.
  const all = (command: Command): Command[] => [command, ...command.commands.flatMap(all)];
  for (const command of all(program)) command.exitOverride();
  return program;
}

try {
  await buildProgram().parseAsync(process.argv);
} catch (error) {
  process.exitCode = exitCodeOf(error);
  // Commander has printed its own messages already.
  if (!(error instanceof CommanderError))
    process.stderr.write(`atoll: ${error instanceof Error ? error.message : String(error)}\n`);
}

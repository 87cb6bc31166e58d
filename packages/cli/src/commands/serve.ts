import { startWriterServer, type WriterServer } from '@poolite/core';
import { type Command, Option } from 'commander';
import { print } from '../output.js';

interface Options {
  socket?: string;
  synchronous: 'normal' | 'full';
  integers?: 'number' | 'bigint' | 'auto';
  foreignKeys: boolean;
  setup?: string;
  json?: boolean;
}

export function serveCommand(program: Command): void {
  program
    .command('serve')
    .description('write a file for the pools of other processes')
    .argument('<file>', 'the database file, which is made where it does not exist')
    .option('--socket <path>', 'where to listen; else in the folder <file>-writer')
    .addOption(
      new Option('--synchronous <mode>', 'whether each commit reaches the disk')
        .choices(['normal', 'full'])
        .default('normal'),
    )
    .addOption(
      new Option('--integers <how>', 'as the pools have it').choices(['number', 'bigint', 'auto']),
    )
    .option('--no-foreign-keys', 'as the pools have it')
    .option('--setup <module>', 'as the pools have it')
    .option('--json', 'print one line of JSON when it listens')
    .addHelpText(
      'after',
      "\nPools use it with writer: 'shared', or with writer: { socketPath } where --socket was given." +
        '\nSIGINT, SIGTERM or SIGHUP ends it, once what the pools have under way has ended.',
    )
    .action(serve);
}

async function serve(file: string, options: Options): Promise<void> {
  const { socket, json, setup, integers, ...rest } = options;
  const server = await startWriterServer(file, {
    ...rest,
    ...(socket === undefined ? {} : { socketPath: socket }),
    ...(integers === undefined ? {} : { integers }),
    ...(setup === undefined ? {} : { setup }),
    inProcess: true,
  });
  const ended = signalled(server);
  const { socketPath, pid } = server;
  print(
    json,
    { file, socketPath, pid },
    () => `writing ${file} for all: process ${pid}, listening at ${socketPath}`,
  );
  await ended;
}

/** A second signal does not wait. */
function signalled(server: WriterServer): Promise<void> {
  return new Promise((resolve, reject) => {
    let told = false;
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        (told ? server.stop() : server.shutdown()).then(resolve, reject);
        told = true;
      });
    }
  });
}

import { setTimeout as delay } from 'node:timers/promises';
import { runningPools } from '@poolite/core';
import { type Command, InvalidArgumentError } from 'commander';
import { createLogUpdate } from 'log-update';
import { lookAt } from '../database-file.js';
import { CliError } from '../exit.js';
import { frame } from '../top/frame.js';
import { plainLine } from '../top/lines.js';
import { Watch, type Watched } from '../top/rates.js';
import { onQuitKey } from '../top/terminal.js';

interface Options {
  interval: number;
  count?: number;
  sockets?: string;
  json?: boolean;
}

export function topCommand(program: Command): void {
  program
    .command('top')
    .description('watch the pools that have a file open, in whatever process')
    .argument('<file>', 'the database file')
    .option('--interval <ms>', 'how often to look', atLeast(100), 1000)
    .option('--count <n>', 'end after so many looks', atLeast(1))
    .option('--sockets <folder>', 'the folder that the pool was given as statsSocket')
    .option('--json', 'print one line of JSON for each look')
    .addHelpText(
      'after',
      '\nIt sees pools that were opened with the option statsSocket: true. Latencies but "mean now" are' +
        '\nsince the pool was opened. Ends with q or Ctrl-C, or when no pool is left.',
    )
    .action(top);
}

function atLeast(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= least && value < 2 ** 31) return value;
    throw new InvalidArgumentError(`It is a whole number from ${least}.`);
  };
}

/** Shows each look. */
interface View {
  show(watched: readonly Watched[], time: Date): void;
  end(): void;
}

async function top(file: string, { interval, count, sockets, json }: Options): Promise<void> {
  lookAt(file);
  const stop = new AbortController();
  const quit = () => stop.abort();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, quit);
  const watch = new Watch();
  let view: View | undefined;
  try {
    for (let looks = 0; !stop.signal.aborted; ) {
      const pools = await runningPools(file, {
        folder: sockets,
        timeout: Math.max(interval, 1000),
      });
      if (pools.length === 0) {
        if (view === undefined) throw nobody(file);
        break;
      }
      view ??= json === true ? jsonView(file) : process.stdout.isTTY ? drawn(file, quit) : plain();
      view.show(watch.look(pools, performance.now()), new Date());
      if (++looks === count) break;
      await delay(interval, undefined, { signal: stop.signal }).catch(ended);
    }
  } finally {
    view?.end();
    for (const signal of signals) process.off(signal, quit);
  }
}

/** To be told to end is no failure. */
function ended(error: unknown): void {
  if ((error as { name?: string }).name !== 'AbortError') throw error;
}

function nobody(file: string): CliError {
  return new CliError(
    'NO_POOL',
    `no running pool of ${file} can be seen: open it with the option statsSocket: true, by the same ` +
      'user as this command (or name its folder with --sockets)',
  );
}

function jsonView(file: string): View {
  return {
    show: (watched, time) => {
      const pools = watched.map(({ pool, rates }) => ({ ...pool, rates }));
      process.stdout.write(`${JSON.stringify({ time: time.toISOString(), file, pools })}\n`);
    },
    end: () => {},
  };
}

function plain(): View {
  return {
    show: (watched, time) => {
      for (const each of watched) process.stdout.write(`${plainLine(each, time)}\n`);
    },
    end: () => {},
  };
}

function drawn(file: string, quit: () => void): View {
  const log = createLogUpdate(process.stdout);
  const restore = onQuitKey(quit);
  let last: (() => void) | undefined;
  const redraw = () => last?.();
  process.stdout.on('resize', redraw);
  return {
    show: (watched, time) => {
      last = () => {
        const { columns = 80, rows = 24 } = process.stdout;
        log(frame(file, watched, time, { columns, rows }));
      };
      last();
    },
    end: () => {
      process.stdout.off('resize', redraw);
      log.done();
      restore();
    },
  };
}

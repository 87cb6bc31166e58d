import { createLogUpdate } from 'log-update';
import { bytes, duration } from './format.js';

const WIDTH = 30;
const FRAME = 80;
/** Where there is no terminal, a line every so many ms. */
const LINE = 5000;

/** What shows how far long work has come, on standard error: a bar, or a line now and then. */
export interface Progress {
  /** So many bytes of so many are done. */
  update(done: number, total: number): void;
  /** Another part begins, of which nobody knows how long it takes. */
  step(label: string): void;
  /** Takes the bar away. */
  end(): void;
}

/** Shows the progress of work of this name. */
export function startProgress(label: string): Progress {
  return process.stderr.isTTY ? drawn(label) : told(label);
}

/** What a bar shows. */
interface State {
  label: string;
  started: number;
  done: number;
  total: number | undefined;
}

function begin(label: string): State {
  return { label, started: performance.now(), done: 0, total: undefined };
}

/** `backup  ━━━━━━━━━━━━━━━━━━━           64 %  1.2 GB of 1.9 GB  8.1 s`, without a bar where nobody knows the total. */
export function line({ label, started, done, total }: State, bar: string, now: number): string {
  const time = duration(now - started);
  if (total === undefined) return `${label}  ${bar}  ${time}`;
  const part = total === 0 ? 1 : Math.min(1, done / total);
  return `${label}  ${bar}  ${Math.floor(part * 100)} %  ${bytes(done)} of ${bytes(total)}  ${time}`;
}

function bar({ started, done, total }: State, now: number): string {
  if (total === undefined) {
    const at = Math.floor((now - started) / FRAME) % (2 * (WIDTH - 4));
    const from = at < WIDTH - 4 ? at : 2 * (WIDTH - 4) - at;
    return `${'─'.repeat(from)}━━━━${'─'.repeat(WIDTH - 4 - from)}`;
  }
  const full = total === 0 ? WIDTH : Math.min(WIDTH, Math.floor((WIDTH * done) / total));
  return `${'━'.repeat(full)}${'─'.repeat(WIDTH - full)}`;
}

function drawn(label: string): Progress {
  const log = createLogUpdate(process.stderr);
  let state = begin(label);
  const draw = () => {
    const now = performance.now();
    log(line(state, bar(state, now), now));
  };
  draw();
  const timer = setInterval(draw, FRAME).unref();
  return {
    update: (done, total) => {
      state.done = done;
      state.total = total;
    },
    step: (next) => {
      state = begin(next);
    },
    end: () => {
      clearInterval(timer);
      log.clear();
      log.done();
    },
  };
}

/** For logs: nothing about work that is soon done. */
function told(label: string): Progress {
  let state = begin(label);
  const timer = setInterval(() => {
    process.stderr.write(`${line(state, '…', performance.now())}\n`);
  }, LINE).unref();
  return {
    update: (done, total) => {
      state.done = done;
      state.total = total;
    },
    step: (next) => {
      state = begin(next);
    },
    end: () => clearInterval(timer),
  };
}

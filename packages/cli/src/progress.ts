import { createLogUpdate } from 'log-update';
import { bytes, duration } from './format.js';

/** How wide a bar is, in columns, at least and at most. */
const LEAST = 10;
const MOST = 30;
/** Of that, the piece that goes to and fro. */
const PIECE = 4;
/** How often it is drawn, in ms. */
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

/** What a line says behind its label and its bar: `64 %  1.2 GB of 1.9 GB  8.1 s`. */
function amounts({ started, done, total }: State, now: number): string {
  const time = duration(now - started);
  if (total === undefined) return time;
  const part = total === 0 ? 1 : Math.min(1, done / total);
  return `${Math.floor(part * 100)} %  ${bytes(done)} of ${bytes(total)}  ${time}`;
}

/** A bar; where nobody knows the total, a piece that goes to and fro. */
function bar({ started, done, total }: State, now: number, width: number): string {
  if (total === undefined) {
    const way = width - PIECE;
    const at = Math.floor((now - started) / FRAME) % (2 * way);
    const from = at < way ? at : 2 * way - at;
    return `${'─'.repeat(from)}${'━'.repeat(PIECE)}${'─'.repeat(way - from)}`;
  }
  const full = total === 0 ? width : Math.min(width, Math.floor((width * done) / total));
  return `${'━'.repeat(full)}${'─'.repeat(width - full)}`;
}

/** A line that fits into so many columns: the bar gives way, and then the label. */
function fitted(state: State, now: number, columns: number): string {
  const behind = amounts(state, now);
  const width = Math.max(LEAST, Math.min(MOST, columns - behind.length - state.label.length - 4));
  const label = state.label.slice(0, Math.max(0, columns - behind.length - width - 4));
  return `${label}  ${bar(state, now, width)}  ${behind}`;
}

/** Shows the state every so many ms, by `show`, until the end. */
function shown(
  label: string,
  every: number,
  show: (state: State) => void,
  end: () => void,
): Progress {
  let state = begin(label);
  const timer = setInterval(() => show(state), every).unref();
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
      end();
    },
  };
}

function drawn(label: string): Progress {
  const log = createLogUpdate(process.stderr);
  const draw = (state: State) =>
    log(fitted(state, performance.now(), process.stderr.columns ?? 80));
  draw(begin(label));
  return shown(label, FRAME, draw, () => {
    log.clear();
    log.done();
  });
}

/** For logs: nothing about work that is soon done. */
function told(label: string): Progress {
  const tell = (state: State) => {
    const now = performance.now();
    if (now - state.started < LINE) return;
    process.stderr.write(`${state.label}  ${amounts(state, now)}\n`);
  };
  return shown(label, LINE, tell, () => {});
}

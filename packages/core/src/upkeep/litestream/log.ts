/** What the supervisor wants to know of Litestream's log. */
export type LogEvent =
  /** It has begun to replicate. */
  | { type: 'ready' }
  /** It sends what it had seen at that time; 0.5 says up to which number. */
  | { type: 'sending'; at: number; until: number }
  /** What it was sending is there, up to that number where there are any. */
  | { type: 'sent'; until: number }
  | { type: 'error'; message: string }
  | { type: 'other' };

interface Line {
  time?: string;
  level?: string;
  msg?: string;
  error?: unknown;
  txid?: { db?: unknown };
  maxTXID?: unknown;
}

/** The messages of both dialects: 0.3 sends parts of the WAL, 0.5 files of its own format. */
const SENDING: ReadonlySet<string> = new Set([
  'write wal segment',
  'write snapshot',
  'replica sync',
]);
const SENT: ReadonlySet<string> = new Set([
  'wal segment written',
  'snapshot written',
  'ltx file uploaded',
]);

/** The number of a transaction, which 0.5 writes in hexadecimal. */
function number(txid: unknown): number {
  if (typeof txid === 'number') return txid;
  return typeof txid === 'string' ? Number.parseInt(txid, 16) : 0;
}

/** Reads one line of the log. What is no JSON is a word of the Go runtime, or of the guard. */
export function readLogLine(text: string, now = Date.now()): LogEvent {
  if (!text.startsWith('{')) return { type: 'error', message: text };
  let line: Line;
  try {
    line = JSON.parse(text) as Line;
  } catch {
    return { type: 'error', message: text };
  }
  const { msg = '', level, error } = line;
  if (level === 'ERROR') {
    return { type: 'error', message: error === undefined ? msg : `${msg}: ${String(error)}` };
  }
  if (msg === 'initialized db') return { type: 'ready' };
  if (SENDING.has(msg)) {
    const at = Date.parse(line.time ?? '');
    return { type: 'sending', at: Number.isNaN(at) ? now : at, until: number(line.txid?.db) };
  }
  if (SENT.has(msg)) return { type: 'sent', until: number(line.maxTXID) };
  return { type: 'other' };
}

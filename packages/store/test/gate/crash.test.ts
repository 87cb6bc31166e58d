import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { deserialize, serialize } from 'node:v8';
import { expect, test } from 'vitest';
import { MemoryLog } from './memory-log.ts';
import { Nodes } from './node.ts';

/** The gate as it is published: a machine in a process of its own loads it. */
const GATE = fileURLToPath(new URL('../../dist/gate.js', import.meta.url));

/**
 * A machine that is killed at one point: its question is on the way ('asked'), or has been answered ('stored'), or it
 * is about to commit what another wrote ('applied').
 */
const MACHINE = `
  import { readFileSync, writeFileSync } from 'node:fs';
  import { DatabaseSync } from 'node:sqlite';
  import { deserialize, serialize } from 'node:v8';
  const [gate, file, logFile, point] = process.argv.slice(1);
  const { default: openGate } = await import(gate);
  const die = () => process.kill(process.pid, 'SIGKILL');
  const open = () => {
    const db = new DatabaseSync(file);
    db.enableDefensive(false);
    db.exec('PRAGMA journal_mode = WAL');
    return db;
  };
  const log = deserialize(readFileSync(logFile));
  const writer = open();
  const ask = (question) => {
    if (question.type === 'opened') return { type: 'entries', entries: [], more: false, again: true };
    if (question.type === 'catchUp') {
      return { type: 'entries', entries: log.slice(question.position.number), more: false, again: true };
    }
    if (point === 'asked') die();
    const { entry, position, token } = question;
    log.push({ ...entry, number: position.number + 1, token, previous: position.token });
    writeFileSync(logFile, serialize(log));
    if (point === 'stored') die();
    return { type: 'stored' };
  };
  const applier = () => {
    const db = open();
    if (point !== 'applied') return db;
    const exec = db.exec.bind(db);
    db.exec = (sql) => (sql === 'COMMIT' ? die() : exec(sql));
    return db;
  };
  const theGate = openGate({ writer, open: applier, data: undefined, ask });
  if (point === 'applied') theGate.turn({ type: 'pull' });
  writer.exec('BEGIN IMMEDIATE');
  theGate.begun();
  for (const sql of ["INSERT INTO t (a) VALUES ('under way')", 'ALTER TABLE t ADD COLUMN b', "UPDATE t SET b = 'b'"]) {
    theGate.before(sql);
    writer.exec(sql);
    theGate.after(sql);
  }
  theGate.propose();
  throw new Error('it lives');`;

test.each([
  ['asked', 2, 2],
  ['stored', 2, 3],
  ['applied', 2, 3],
])(
  'a machine that is killed (%s) has what it had, and what is in the log once',
  (point, before, after) => {
    using nodes = new Nodes();
    const log = new MemoryLog();
    const other = nodes.open(log, 'other.db');
    const first = nodes.open(log, 'a.db');
    other.run('CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a)');
    other.run("INSERT INTO t (a) VALUES ('kept')");
    first.pull();
    nodes.close(first);
    if (point === 'applied') other.run("INSERT INTO t (a) VALUES ('of another')");
    const logFile = `${nodes.folder}/log`;
    writeFileSync(logFile, serialize(log.entries));
    const flags = ['--no-warnings', '--input-type=module', '-e', MACHINE, '--'];
    const child = spawnSync(process.execPath, [...flags, GATE, first.file, logFile, point], {
      encoding: 'utf8',
    });
    expect(child, child.stderr).toMatchObject({ signal: 'SIGKILL' });
    log.entries.splice(0, Infinity, ...deserialize(readFileSync(logFile)));
    expect(log.entries).toHaveLength(after);

    let opened: unknown;
    const again = nodes.open(log, 'a.db', {
      asked: (question) => {
        if (question.type === 'opened') opened = question.position.number;
        return undefined;
      },
    });
    expect(opened).toBe(before);
    expect(again.run('SELECT a FROM t')).toEqual([{ a: 'kept' }]);
    again.pull();
    other.pull();
    expect(again.content()).toEqual(other.content());
    expect(again.run('SELECT count(*) AS n FROM t')).toEqual([{ n: after - 1 }]);
    again.run("INSERT INTO t (a) VALUES ('after')");
    other.pull();
    expect(other.content()).toEqual(again.content());
  },
);

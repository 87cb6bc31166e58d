import { openSync, writeSync } from 'node:fs';

/**
 * The store's gate, on the writer's thread: its process dies in it, or what it does is done wrong. It is imported by
 * a URL that says how: `?gate=…` the gate's own module, `&point=…&times=…&told=…` where it is to die.
 */
const params = new URL(import.meta.url).searchParams;
const { default: open } = await import(params.get('gate') ?? '');
const broken = params.get('broken');

let times = Number(params.get('times') ?? 0);

function deathAt(point) {
  if (params.get('point') !== point || --times !== 0) return;
  writeSync(openSync(params.get('told') ?? '', 'a'), `${JSON.stringify({ say: 'harm', point })}\n`);
  process.kill(process.pid, 'SIGKILL');
}

/** The connection that writes what others have committed. */
function applying(db) {
  const exec = db.exec.bind(db);
  db.exec = (sql) => {
    if (sql === 'COMMIT') deathAt('before the COMMIT of what others wrote');
    exec(sql);
    if (sql === 'COMMIT') deathAt('after the COMMIT of what others wrote');
  };
  return db;
}

const SET = 'UPDATE poolite_replica SET number = ?, token = ?';

/** @type {import('@poolite/core').OpenGate} */
export default function openGate(context) {
  const { writer } = context;
  const set = (position) => writer.prepare(SET).run(position.number, position.token);
  /** Where the position is to be once the transaction is over. */
  let next;
  /** Whether what is committed has an entry in the log: else it has changed nothing. */
  let proposed = false;
  const ask = (question, transfer) => {
    if (question.type !== 'propose') return context.ask(question, transfer);
    const { position, token } = question;
    proposed = true;
    // Others see what may never be.
    if (broken === 'COMMIT before PUT') writer.exec('COMMIT; BEGIN IMMEDIATE');
    if (broken === 'position outside of the transaction') {
      set(position);
      next = { number: position.number + 1, token };
    }
    return context.ask(question, transfer);
  };
  const gate = open({ ...context, ask, open: () => applying(context.open()) });
  const bound = Object.getOwnPropertyNames(Object.getPrototypeOf(gate))
    .filter((name) => name !== 'constructor')
    .map((name) => [name, (...args) => gate[name](...args)]);
  return {
    ...Object.fromEntries(bound),
    rolledBack: () => {
      proposed = false;
      next = undefined;
      gate.rolledBack();
    },
    committed: () => {
      if (proposed) deathAt('after its COMMIT');
      proposed = false;
      if (next !== undefined) set(next);
      next = undefined;
      gate.committed();
    },
  };
}

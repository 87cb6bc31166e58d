// The gate of a store that keeps nothing: it tells what would be committed, and does what it hears.

/** @type {import('@poolite/core').OpenGate} */
export default function openGate({ writer, ask }) {
  writer.exec(
    'CREATE TABLE IF NOT EXISTS poolite_requests (id TEXT PRIMARY KEY, at INTEGER, result BLOB)',
  );
  let written = [];
  let refused;
  const isLocal = (sql) =>
    /^\s*(SELECT|SAVEPOINT|RELEASE|ROLLBACK TO|PRAGMA (?!user_version))/i.test(sql);
  return {
    begun: () => {
      written = [];
      refused = undefined;
    },
    before: (sql) => {
      if (/forbidden/.test(sql)) {
        throw Object.assign(new Error('that is forbidden'), {
          ...{ name: 'PoolError', code: 'POOL_MISUSE' },
        });
      }
      return isLocal(sql) ? 'local' : 'replicated';
    },
    after: (sql) => {
      if (!isLocal(sql)) written.push(sql);
    },
    undoneTo: () => written.push('(undone)'),
    propose: () => {
      if (written.length === 0) return;
      const answer = ask({ type: 'propose', written });
      if (answer === 'commit') return;
      refused = Object.assign(new Error('another was first'), {
        ...{ name: 'PoolError', code: 'POOL_CONFLICT', again: answer === 'again' },
      });
      throw refused;
    },
    committed: () => ask({ type: 'committed' }),
    rolledBack: () => ask({ type: 'rolledBack', conflict: refused !== undefined }),
    turn: (message) => {
      if (message === 'fail') throw new RangeError('no such turn');
      ask({ type: 'turn', message, inTransaction: writer.isTransaction });
    },
    close: () => ask({ type: 'close' }),
  };
}

import { isMainThread } from 'node:worker_threads';

/** A function of SQL that ends the thread it runs on; on the calling thread that were the test's own end. */
export default (db) => {
  db.function('die', (value) => {
    if (isMainThread) throw new Error('a deadly statement ran on the calling thread');
    process.exit(7);
    return value;
  });
};

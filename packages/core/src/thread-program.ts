import { workerData } from 'node:worker_threads';

// One program for every thread, so that a bundled application has one file to find: a thread that
// runs statements for as long as the pool is open, or one that ends with the one job it is given.
if ('job' in (workerData as object)) await import('./upkeep/job-thread.js');
else await import('./threads/entry.js');

#!/usr/bin/env node
import { run } from './program.js';

// So that a file whose folder may not be written can be read: see inspector-thread.ts. SQLite looks
// at it when its library is loaded.
process.env.SQLITE_USE_URI = '1';
// Whoever reads the output may have seen enough: `poolite top app.db | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

await run(process.argv);

import cluster from 'node:cluster';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { open, sell } from './database.ts';

/** One of several processes that answer at one port. */
export async function serve(file: string): Promise<void> {
  const { pool, db, close } = open(file);
  await pool.ready();
  const server = createServer(async (_request, response) => {
    try {
      const isSold = await sell(db, 'book', cluster.worker?.id ?? 0);
      response.statusCode = isSold ? 200 : 409;
    } catch (error) {
      response.statusCode = 503;
      console.error(error);
    }
    response.end();
  });
  // Port 0, which the cluster gives to all of its workers alike.
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  process.on('message', (message) => {
    if (message === 'role') process.send?.(pool.stats().writer.role);
  });
  process.on('SIGTERM', () => {
    server.close(async () => {
      await close();
      process.exit(0);
    });
    server.closeIdleConnections();
  });
  process.send?.((server.address() as AddressInfo).port);
}

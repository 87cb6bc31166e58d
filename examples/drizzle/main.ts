import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { createApp } from './app.ts';
import { openDatabase } from './database.ts';
import { prepare } from './poll.ts';

const { DATABASE = 'poll.db', PORT = '3000' } = process.env;

const db = await openDatabase(DATABASE);
await prepare(db);

const server = createServer(getRequestListener(createApp(db).fetch));
server.listen(Number(PORT), '127.0.0.1');
await once(server, 'listening');
console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`);

// Whoever was promised an answer gets it; then the pool stores what is under way, and closes.
const [signal] = await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
console.log(`${signal}: closing`);
const closed = once(server, 'close');
server.close();
// A connection that waits for its next request would keep the server up for seconds.
const idle = setInterval(() => server.closeIdleConnections(), 20);
await closed;
clearInterval(idle);
await db.$client.close();
console.log('closed');

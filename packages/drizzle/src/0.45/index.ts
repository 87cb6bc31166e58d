export type { PooliteConnection, PooliteDrizzleConfig } from './config.js';
export { PooliteDatabase } from './database.js';
export { drizzle, type MockDatabase } from './driver.js';
export { migrate, type PooliteMigrationConfig } from './migrator.js';
export { PooliteQuery } from './query.js';
export { PooliteSession } from './session.js';
export { PooliteTransaction, type PooliteTransactionConfig } from './transaction.js';

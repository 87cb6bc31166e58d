export { PooliteAdapter } from './adapter.js';
export type {
  OpenOptions,
  PooliteDialectConfig,
  PooliteDialectDatabaseConfig,
  PooliteDialectHooks,
  PooliteDialectPoolConfig,
} from './config.js';
export { PooliteDialect } from './dialect.js';
export { PooliteDriver } from './driver.js';

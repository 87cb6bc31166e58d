export { PooliteDataSource, type PooliteDataSourceOptions } from './data-source.js';
export { PooliteDriver } from './driver.js';
export { type PooliteDriverValue, poolite } from './poolite.js';
export { PooliteQueryRunner } from './query-runner.js';

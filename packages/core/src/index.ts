export { PoolError, type PoolErrorCode } from './errors.js';
export { channels, type StatementMessage } from './observing/channels.js';
export type {
  CheckpointMessage,
  Pin,
  PoolEvents,
  WalPinnedMessage,
} from './observing/events.js';
export {
  type RunningPool,
  type RunningPoolsOptions,
  runningPools,
} from './observing/running-pools.js';
export type { CheckpointStats, LatencyStats, PoolStats } from './observing/stats.js';
export type { CheckpointOptions, PoolOptions, RetryOptions } from './options.js';
export { createPool, Pool } from './pool.js';
export { type Classification, classify, type StatementKind } from './statements/classify.js';
export type { BindInput, Params } from './statements/params.js';
export type {
  AnyRow,
  BatchStatement,
  CallOptions,
  CheckpointMode,
  CheckpointResult,
  CloseOptions,
  IterateOptions,
  Lease,
  LeaseOptions,
  SnapshotOptions,
  Statements,
  Transaction,
  TransactionOptions,
} from './surface.js';
export type { Integers, Setup } from './threads/connection.js';
export type { RunResult } from './threads/engine.js';
export type { StatementResult } from './threads/result.js';

export { createPool } from './create-pool.js';
export { PoolError, type PoolErrorCode } from './errors.js';
export { channels, type StatementMessage } from './observing/channels.js';
export type {
  BackupMessage,
  BackupSendingMessage,
  BackupSentMessage,
  ChangeMessage,
  CheckpointMessage,
  Pin,
  PoolEvents,
  ReplicationMessage,
  ReplicationState,
  WalPinnedMessage,
  WriterMessage,
} from './observing/events.js';
export {
  type RunningPool,
  type RunningPoolsOptions,
  runningPools,
} from './observing/running-pools.js';
export type {
  BackupStats,
  CheckpointStats,
  LatencyStats,
  PoolStats,
  ReplicaStats,
  ReplicationStats,
  WriterStats,
} from './observing/stats.js';
export type { FreshnessOptions, PoolOptions, RetryOptions } from './options.js';
export { Pool } from './pool.js';
export type { WriterOption } from './sharing/sharing-options.js';
export { type Classification, classify, type StatementKind } from './statements/classify.js';
export type { BindInput, Params } from './statements/params.js';
export type { PoolStore, Replica, ReplicaHost } from './store.js';
export type {
  AnyRow,
  BatchStatement,
  CallOptions,
  CheckpointMode,
  CheckpointResult,
  CloseOptions,
  GetOptions,
  IterateOptions,
  Lease,
  LeaseOptions,
  LiveOptions,
  OnceOptions,
  SnapshotOptions,
  Statements,
  Transaction,
  TransactionOptions,
  WriteOptions,
} from './surface.js';
export type { Integers, Setup } from './threads/connection.js';
export type { RunResult } from './threads/engine.js';
export type { CommitGate, GateContext, GateError, OpenGate } from './threads/gate.js';
export type { StatementResult } from './threads/result.js';
export { SqliteError } from './threads/sqlite-error.js';
export type {
  BackupRequest,
  ListBackupsOptions,
  ListedBackup,
  PoolBackups,
} from './upkeep/backups/backups.js';
export type {
  BackupCompression,
  BackupFile,
  BackupOptions,
  BackupProgress,
  BackupResult,
  BackupSettings,
  BackupVerdict,
  BackupVerify,
  RestoreOptions,
  RestoreResult,
  ScheduledBackupOptions,
  VerifyBackupOptions,
} from './upkeep/backups/options.js';
export type { CheckpointOptions } from './upkeep/checkpoints/options.js';
export type { StoredBackup, TransferProgress } from './upkeep/destinations/destination.js';
export type { DestinationOption, S3Location } from './upkeep/destinations/option.js';
export type { S3ClientOptions } from './upkeep/destinations/s3-sdk.js';
export type { ReplicaOptions, ReplicateOptions } from './upkeep/litestream/options.js';
export {
  type RestoredReplica,
  type RestoreReplicaOptions,
  restoreReplica,
} from './upkeep/litestream/restore.js';
export { type ListStoredBackupsOptions, listBackups } from './upkeep/restoring/list.js';
export { restoreBackup, verifyBackup } from './upkeep/restoring/restore.js';
export { startWriterServer, type WriterServer, type WriterServerOptions } from './writer-server.js';
export type { ChangeOptions } from './writing/change-options.js';

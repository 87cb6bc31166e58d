export { type Bucket, BucketError } from './bucket.js';
export { FolderBucket, type FolderBucketOptions } from './folder-bucket.js';
export { S3Bucket, type S3BucketOptions } from './s3-bucket.js';
export type { S3ClientLike } from './s3-sdk.js';

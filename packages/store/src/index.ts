export { type Bucket, BucketError } from './bucket.js';
export { FolderBucket, type FolderBucketOptions } from './folder-bucket.js';

export { type Bucket, BucketError } from './bucket.js';

import { configDefaults } from 'vitest/config';
import { project } from '../../vitest.shared.ts';

const { test, ...rest } = project('store');

/** A pool with a store needs Node.js 24, which the core says where it is opened; what is in the bucket needs none. */
const ofPools = [
  'test/orms/**',
  'test/gate/**',
  'test/{doubt,fairness,recovery,reopen,two-machines}.test.ts',
];
const isOld = Number.parseInt(process.versions.node, 10) < 24;

export default {
  ...rest,
  test: { ...test, exclude: [...configDefaults.exclude, ...(isOld ? ofPools : [])] },
};

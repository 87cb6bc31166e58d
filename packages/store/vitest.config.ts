import { project } from '../../vitest.shared.ts';

const config = project('store');

// The core refuses the SQLite of Node.js 22, and so there is no gate.
const [major = 0] = process.versions.node.split('.').map(Number);
if (major < 24 && config.test !== undefined) config.test.exclude = ['test/gate/**'];

export default config;

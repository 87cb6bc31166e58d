// Builds the extension for this machine, where it has a C compiler. Without one nothing is built,
// and the pool does without: `node scripts/build.ts --required` fails instead.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { fileName, platformHere } from '../src/platform.ts';
import { flags, has, sqliteFolder } from './compiler.ts';

const required = process.argv.includes('--required');
const compiler = process.env.CC ?? 'cc';
const platform = process.env.POOLITE_PLATFORM ?? platformHere();
const out = fileURLToPath(new URL(`../dist/${fileName(platform)}`, import.meta.url));
const headers = sqliteFolder();

const missing = has(compiler)
  ? headers === undefined && 'the headers of SQLite are missing'
  : `there is no C compiler (${compiler})`;
if (missing || headers === undefined) {
  console.warn(`The extension was not built: ${missing}.`);
  if (required) process.exitCode = 1;
} else {
  execFileSync(compiler, flags(platform, headers, out), { stdio: 'inherit' });
  console.log(`The extension was built: ${out}`);
}

// Writes into each manifest where its sources are: npm compares that with the provenance, and
// refuses a package that does not say so. Forks need not change a line for it.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository } = process.env;
if (!server || !repository) throw new Error('GITHUB_SERVER_URL and GITHUB_REPOSITORY are missing');

const packages = new URL('../../packages/', import.meta.url);
for (const folder of readdirSync(packages)) {
  const file = new URL(`${folder}/package.json`, packages);
  const own = JSON.parse(readFileSync(file, 'utf8'));
  const url = `git+${server}/${repository}.git`;
  own.repository = { type: 'git', url, directory: `packages/${folder}` };
  own.homepage = `${server}/${repository}/tree/main/packages/${folder}#readme`;
  own.bugs = `${server}/${repository}/issues`;
  writeFileSync(file, `${JSON.stringify(own, null, 2)}\n`);
}

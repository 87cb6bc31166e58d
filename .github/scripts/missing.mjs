// Prints the packages whose version the registry does not have yet, on one line.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

const packages = new URL('../../packages/', import.meta.url);

function isThere(name, version) {
  try {
    const options = { encoding: 'utf8', stdio: 'pipe' };
    return execFileSync('npm', ['view', `${name}@${version}`, 'version'], options).trim() !== '';
  } catch (error) {
    // Whatever else goes wrong must not look like a package that is missing.
    if (String(error.stderr).includes('E404')) return false;
    throw error;
  }
}

const missing = readdirSync(packages)
  .map((folder) => JSON.parse(readFileSync(new URL(`${folder}/package.json`, packages), 'utf8')))
  .filter(({ name, version }) => !isThere(name, version))
  .map(({ name, version }) => `${name}@${version}`);
console.log(missing.join(' '));

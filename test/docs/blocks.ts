import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const root = new URL('../../', import.meta.url);

/** One code block of a page, or of the JSDoc of a source file. */
export interface Block {
  /** The file, from the root of the repository, and the line of the block's first line. */
  readonly where: string;
  readonly page: string;
  readonly language: string;
  /** What stands behind the language. */
  readonly info: string;
  readonly text: string;
}

const FENCE = /^```(\w*)[ \t]*(.*)\n([\s\S]*?)^```[ \t]*$/gm;

export function blocksOf(page: string, text: string): Block[] {
  return [...text.matchAll(FENCE)].map((match) => {
    const [, language = '', info = '', code = ''] = match;
    const line = text.slice(0, match.index).split('\n').length + 1;
    return { where: `${page}:${line}`, page, language, info: info.trim(), text: code };
  });
}

function read(file: string): string {
  return readFileSync(new URL(file, root), 'utf8');
}

/** The folders of the packages. */
export function packages(): string[] {
  return readdirSync(new URL('packages/', root)).map((name) => `packages/${name}`);
}

/** The pages whose code is shown to users. */
export function pages(): string[] {
  const readmes = packages().map((folder) => `${folder}/README.md`);
  const guides = readdirSync(new URL('docs/guides/', root)).map((name) => `docs/guides/${name}`);
  const own = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'docs/bench/table.md'];
  return [...own, ...readmes, ...guides];
}

export function pageBlocks(): Block[] {
  return pages().flatMap((page) => blocksOf(page, read(page)));
}

/** The source files of a folder, from the root of the repository. */
export function sources(folder: string): string[] {
  const found = readdirSync(new URL(folder, root), { recursive: true, withFileTypes: true });
  const start = fileURLToPath(root).length;
  return found
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => `${entry.parentPath}/${entry.name}`.slice(start).replaceAll('\\', '/'));
}

/** The blocks of `@example` in the sources of every package. */
export function sourceBlocks(): Block[] {
  return packages().flatMap((folder) =>
    sources(`${folder}/src`).flatMap((file) => {
      // Without the stars in front, which leaves every line where it is.
      const text = read(file).replace(/^[ \t]*\*[ \t]?(?!\/)/gm, '');
      return blocksOf(file, text).filter(({ language }) => language !== '');
    }),
  );
}

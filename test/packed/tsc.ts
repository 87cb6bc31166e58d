import { shell } from './project.ts';

/** The errors of `tsc --noEmit` in a folder: in its own files and ours, and in those of others. */
export async function tscErrors(
  folder: string,
  isOthers: RegExp,
): Promise<{ own: string[]; others: string[] }> {
  // It ends with 2 where it finds any.
  const printed = await shell(
    'node ../node_modules/typescript/bin/tsc --pretty false -p . || node -e 0',
    folder,
  );
  const errors = printed.split('\n').filter((line) => /error TS\d+/.test(line));
  const own = errors.filter((line) => !isOthers.test(line));
  return { own, others: errors.filter((line) => isOthers.test(line)) };
}

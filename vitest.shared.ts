import { defineProject } from 'vitest/config';

/** What every package's tests have in common; each package names itself. */
export function project(name: string) {
  return defineProject({
    test: {
      name,
      include: [name === 'test' ? '**/*.test.ts' : 'test/**/*.test.ts'],
      // Native modules and worker threads want a process of their own.
      pool: 'forks',
      // Else a project takes one less than there are cores, whatever the root says.
      maxWorkers: 2,
      testTimeout: 30_000,
      hookTimeout: 30_000,
    },
  });
}

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
      // These only end what hangs: no test may need more than seconds, but a busy machine does.
      testTimeout: 120_000,
      hookTimeout: 120_000,
      // CI's machine is shared: what fails there is tried once more, and named at the end if that
      // passes. What tries promises at random (crashes, properties) says `retry: 0`.
      retry: Number(process.env.TEST_RETRY ?? 0),
      expect: { poll: { timeout: 60_000, interval: 20 } },
    },
  });
}

import { PoolError } from './errors.js';

/** Refuses a value that an option may not have; the name is for the message. */
export type Check = (name: string, value: unknown) => void;

/** Throws POOL_OPTIONS. */
export function refuse(name: string, value: unknown, wanted: string): never {
  let shown: string;
  try {
    shown = typeof value === 'string' ? JSON.stringify(value) : String(value);
  } catch {
    shown = typeof value;
  }
  throw new PoolError('POOL_OPTIONS', `option '${name}' must be ${wanted}, not ${shown}`);
}

export const boolean: Check = (name, value) => {
  if (typeof value !== 'boolean') refuse(name, value, 'true or false');
};

export function oneOf(...values: readonly string[]): Check {
  return (name, value) => {
    if (!values.includes(value as string)) {
      refuse(name, value, values.map((each) => `'${each}'`).join(' or '));
    }
  };
}

export function integer(least: number, most: number, unit = ''): Check {
  return (name, value) => {
    const fits = Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
    if (!fits) refuse(name, value, `a whole number${unit} from ${least} to ${most}`);
  };
}

/** The longest that a timer can wait. */
export const MOST_MS = 2 ** 31 - 1;
export const milliseconds = integer(0, MOST_MS, ' of ms');

/** Refuses a limit in time, given with a call, that is no number of ms. */
export function checkMilliseconds(name: string, value: number | undefined): void {
  if (value !== undefined) milliseconds(name, value);
}

/** Refuses the limits of a transaction, snapshot or lease that are none. */
export function checkLimits(options: { timeout?: unknown; acquireTimeout?: unknown }): void {
  checkMilliseconds('timeout', options.timeout as number | undefined);
  checkMilliseconds('acquireTimeout', options.acquireTimeout as number | undefined);
}

const retries = integer(0, 1000);

/** Refuses a number of retries, given with a call, that is none. */
export function checkRetries(value: unknown): void {
  if (value !== undefined) retries('retries', value);
}

export const text: Check = (name, value) => {
  if (typeof value !== 'string' || value === '') refuse(name, value, 'a string');
};

/** An object of known fields, each with its check. */
export function fields(checks: Readonly<Record<string, Check>>, what: string): Check {
  return (name, value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      refuse(name || 'options', value, 'an object');
    }
    for (const [key, each] of Object.entries(value as object)) {
      const check = Object.hasOwn(checks, key) ? checks[key] : undefined;
      const full = name === '' ? key : `${name}.${key}`;
      if (check === undefined) {
        const known = Object.keys(checks).join(', ');
        throw new PoolError('POOL_OPTIONS', `unknown option '${full}' of ${what}; known: ${known}`);
      }
      if (each !== undefined) check(full, each);
    }
  };
}

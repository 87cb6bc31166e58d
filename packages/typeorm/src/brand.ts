import type { DataSource, Driver } from 'typeorm';

/** Marks a `driver` value made by any copy of this package: it makes the driver of a data source. */
export const MAKES_DRIVER: unique symbol = Symbol.for('poolite.typeorm.makesDriver') as never;

/** A value that makes the driver of a data source. */
export interface Branded {
  readonly [MAKES_DRIVER]: (dataSource: DataSource) => Driver;
}

export function isBranded(value: unknown): value is Branded {
  return typeof value === 'function' && MAKES_DRIVER in value;
}

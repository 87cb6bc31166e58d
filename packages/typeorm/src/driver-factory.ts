import type { DataSource, Driver } from 'typeorm';
import { DriverFactory } from 'typeorm/driver/DriverFactory.js';
import { isBranded, MAKES_DRIVER } from './brand.js';

/** Marks a `create` that was wrapped, by whatever copy of this package. */
const WRAPPED = Symbol.for('poolite.typeorm.wrapped');

type Create = ((dataSource: DataSource) => Driver) & { [WRAPPED]?: true };

/**
 * TypeORM chooses its drivers by `type`, in a closed switch. Here a data source whose `driver` is
 * branded gets the driver that the brand makes; every other one what it got before.
 */
export function wrapDriverFactory(): void {
  const { prototype } = DriverFactory;
  const stock: Create = prototype.create;
  if (stock[WRAPPED]) return;
  const create: Create = function (this: DriverFactory, dataSource: DataSource): Driver {
    const { driver, type } = dataSource.options as { driver?: unknown; type: string };
    if (type === 'better-sqlite3' && isBranded(driver)) return driver[MAKES_DRIVER](dataSource);
    return stock.call(this, dataSource);
  };
  create[WRAPPED] = true;
  prototype.create = create;
}

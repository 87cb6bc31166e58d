import { Injectable } from '@nestjs/common';
import { InjectDataSource, InjectRepository } from '@nestjs/typeorm';
import type { DataSource, Repository } from 'typeorm';
import { Account } from './account.entity.ts';
import { Transfer } from './transfer.entity.ts';

@Injectable()
export class BankService {
  @InjectDataSource()
  private readonly source!: DataSource;

  @InjectRepository(Account)
  private readonly accounts!: Repository<Account>;

  @InjectRepository(Transfer)
  private readonly transfers!: Repository<Transfer>;

  /** Many saves at once: each is a transaction, and they share commits. */
  async open(owners: number, cents: number): Promise<void> {
    const names = Array.from({ length: owners }, (_, n) => `owner ${n + 1}`);
    await Promise.all(names.map((owner) => this.accounts.save({ owner, cents })));
  }

  /** Moves money from one account to another, or nothing at all: false where it is not there. */
  transfer(sender: string, receiver: string, cents: number): Promise<boolean> {
    // The manager of the transaction, and not the repositories above: see the README.
    return this.source.transaction(async (manager) => {
      const from = await manager.findOneByOrFail(Account, { owner: sender });
      const to = await manager.findOneByOrFail(Account, { owner: receiver });
      if (from.cents < cents) return false;
      await manager.decrement(Account, { id: from.id }, 'cents', cents);
      await manager.increment(Account, { id: to.id }, 'cents', cents);
      await manager.save(Transfer, { sender: from, receiver: to, cents });
      return true;
    });
  }

  /** What happens to a transfer that uses the wrong manager: the code of its error. */
  async wrongTransfer(): Promise<string> {
    try {
      await this.source.transaction(async (manager) => {
        await manager.increment(Account, { owner: 'owner 1' }, 'cents', 1);
        await this.accounts.decrement({ owner: 'owner 2' }, 'cents', 1);
      });
      return 'none';
    } catch (error) {
      return String((error as { code?: unknown }).code);
    }
  }

  /** All the money there is. */
  async total(): Promise<number> {
    return (await this.accounts.sum('cents')) ?? 0;
  }

  /** The number of transfers, and the largest, read one by one. */
  async statement(): Promise<{ count: number; largest: number }> {
    const rows = await this.transfers.createQueryBuilder('t').select('t.cents', 'cents').stream();
    let count = 0;
    let largest = 0;
    for await (const { cents } of rows as AsyncIterable<{ cents: number }>) {
      count++;
      largest = Math.max(largest, cents);
    }
    return { count, largest };
  }

  /** Runs pending migrations, of which there are none once the application is up. */
  async migrate(): Promise<{ ran: number; pending: number }> {
    const pending = (await this.source.runMigrations()).length;
    const [{ ran }] = await this.source.query('SELECT count(*) AS ran FROM migrations');
    return { ran, pending };
  }
}

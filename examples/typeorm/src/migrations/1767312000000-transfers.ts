import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Transfers1767312000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE TABLE "transfer" (
        "id" integer PRIMARY KEY AUTOINCREMENT NOT NULL,
        "sender" integer NOT NULL REFERENCES "account" ("id"),
        "receiver" integer NOT NULL REFERENCES "account" ("id"),
        "cents" integer NOT NULL,
        "at" datetime NOT NULL DEFAULT (datetime('now'))
      )`,
    );
    await runner.query('CREATE INDEX "transfer_by_sender" ON "transfer" ("sender", "cents")');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE "transfer"');
  }
}

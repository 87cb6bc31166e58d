import { type DynamicModule, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Account } from './account.entity.ts';
import { BankService } from './bank.service.ts';
import { Transfer } from './transfer.entity.ts';

@Module({
  imports: [TypeOrmModule.forFeature([Account, Transfer])],
  providers: [BankService],
})
export class AppModule {}

export function appOn(database: DynamicModule): DynamicModule {
  return { module: AppModule, imports: [database] };
}

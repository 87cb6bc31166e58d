import {
  Column,
  CreateDateColumn,
  Entity,
  JoinColumn,
  ManyToOne,
  PrimaryGeneratedColumn,
} from 'typeorm';
import { Account } from './account.entity.ts';

/** What was moved from one account to another. */
@Entity('transfer')
export class Transfer {
  @PrimaryGeneratedColumn('increment', { type: 'integer' })
  id!: number;

  @ManyToOne(() => Account, { nullable: false })
  @JoinColumn({ name: 'sender' })
  sender!: Account;

  @ManyToOne(() => Account, { nullable: false })
  @JoinColumn({ name: 'receiver' })
  receiver!: Account;

  @Column('integer')
  cents!: number;

  @CreateDateColumn({ type: 'datetime' })
  at!: Date;
}

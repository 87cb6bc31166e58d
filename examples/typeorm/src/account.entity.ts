import { Check, Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

@Entity('account')
@Check('"cents" >= 0')
export class Account {
  @PrimaryGeneratedColumn('increment', { type: 'integer' })
  id!: number;

  @Column('varchar', { unique: true })
  owner!: string;

  @Column('integer')
  cents!: number;
}

import { type MigrationInterface, type QueryRunner } from 'typeorm';

/** By which columns the rows of each table have their keys in the sinks. */
export class AddTableKeys1795750000000 implements MigrationInterface {
  readonly name = 'AddTableKeys1795750000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE TABLE IF NOT EXISTS table_keys (
         source VARCHAR(128) NOT NULL,
         database_name VARCHAR(64) NOT NULL,
         table_name VARCHAR(64) NOT NULL,
         key_columns TEXT NOT NULL,
         since VARCHAR(44) NOT NULL,
         PRIMARY KEY (source, database_name, table_name)
       ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE table_keys');
  }
}

import { Redis } from 'ioredis';
import { Kafka, logLevel } from 'kafkajs';
import { createConnection as createMongoConnection } from 'mongoose';
import { createConnection as createMySqlConnection, type RowDataPacket } from 'mysql2/promise';
import type { MemberName, Stack } from '#stack';

/** Writes one value to a server and reads it back through a connection of its own, with the client Ditto uses. */
export interface ProbeClient {
  write(url: string, value: string): Promise<void>;
  /** Every value written so far, in order. */
  read(url: string): Promise<string[]>;
}

const mySqlClient: ProbeClient = {
  async write(url, value) {
    const connection = await createMySqlConnection(url);
    await connection.query('CREATE DATABASE IF NOT EXISTS probe');
    await connection.query('CREATE TABLE IF NOT EXISTS probe.entries (id INT AUTO_INCREMENT PRIMARY KEY, value TEXT)');
    await connection.execute('INSERT INTO probe.entries (value) VALUES (?)', [value]);
    await connection.end();
  },
  async read(url) {
    const connection = await createMySqlConnection(url);
    const [rows] = await connection.query<RowDataPacket[]>('SELECT value FROM probe.entries ORDER BY id');
    await connection.end();
    return rows.map((row) => String(row['value']));
  },
};

/** A broker that has just come back answers before its partitions have a leader again. */
async function untilLed<T>(ask: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask();
    } catch (error) {
      const retriable = error instanceof Error && 'retriable' in error && error.retriable === true;
      if (!retriable || attempt === 50) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

const kafkaClient: ProbeClient = {
  async write(url, value) {
    const kafka = new Kafka({ brokers: url.split(','), logLevel: logLevel.NOTHING });
    const admin = kafka.admin();
    const producer = kafka.producer();
    await Promise.all([admin.connect(), producer.connect()]);
    const topics = await admin.listTopics();
    if (!topics.includes('probe')) await admin.createTopics({ topics: [{ topic: 'probe', numPartitions: 1 }] });
    await producer.send({ topic: 'probe', acks: -1, messages: [{ value }] });
    await Promise.all([admin.disconnect(), producer.disconnect()]);
  },
  async read(url) {
    const kafka = new Kafka({ brokers: url.split(','), logLevel: logLevel.NOTHING });
    const admin = kafka.admin();
    await admin.connect();
    const [offsets] = await untilLed(() => admin.fetchTopicOffsets('probe'));
    await admin.disconnect();
    const count = Number(offsets?.high ?? 0);
    const consumer = kafka.consumer({ groupId: `probe-${count}-${process.hrtime.bigint()}`, maxWaitTimeInMs: 100 });
    const values: string[] = [];
    await consumer.connect();
    await consumer.subscribe({ topic: 'probe', fromBeginning: true });
    const { promise, resolve } = Promise.withResolvers<undefined>();
    await consumer.run({
      eachMessage: ({ message }) => {
        values.push(String(message.value));
        if (values.length === count) resolve(undefined);
        return Promise.resolve();
      },
    });
    await promise;
    await consumer.disconnect();
    return values;
  },
};

const mongoClient: ProbeClient = {
  async write(url, value) {
    const connection = await createMongoConnection(url).asPromise();
    const entries = connection.useDb('probe').collection<{ _id: number; value: string }>('entries');
    await entries.insertOne({ _id: await entries.countDocuments(), value }, { writeConcern: { w: 'majority' } });
    await connection.close();
  },
  async read(url) {
    const connection = await createMongoConnection(url).asPromise();
    const entries = connection.useDb('probe').collection<{ _id: number; value: string }>('entries');
    const found = await entries.find().sort({ _id: 1 }).toArray();
    await connection.close();
    return found.map(({ value }) => value);
  },
};

const redisClient: ProbeClient = {
  async write(url, value) {
    const redis = new Redis(url);
    await redis.rpush('probe', value);
    redis.disconnect();
  },
  async read(url) {
    const redis = new Redis(url);
    const values = await redis.lrange('probe', 0, -1);
    redis.disconnect();
    return values;
  },
};

export function clientFor(member: MemberName): ProbeClient {
  if (member.startsWith('mysql-') || member === 'mariadb') return mySqlClient;
  if (member === 'mongo') return mongoClient;
  return member === 'redis' ? redisClient : kafkaClient;
}

/** The GTIDs of one server. */
export async function readGtidExecuted(stack: Stack, member: MemberName): Promise<string> {
  const connection = await createMySqlConnection(stack.url(member));
  const [[row]] = await connection.query<RowDataPacket[]>('SELECT @@GLOBAL.gtid_executed AS executed');
  await connection.end();
  return String(row?.['executed']);
}

/** Waits, in the replica, for what the primary has executed. */
export async function waitForReplica(stack: Stack): Promise<void> {
  const executed = await readGtidExecuted(stack, 'mysql-primary');
  const connection = await createMySqlConnection(stack.url('mysql-replica'));
  const [[row]] = await connection.query<RowDataPacket[]>('SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 20) AS timedOut', [
    executed,
  ]);
  await connection.end();
  if (row?.['timedOut'] !== 0) throw new Error(`the replica did not reach ${executed}`);
}

import { Admin } from '@platformatic/kafka';
import { Redis } from 'ioredis';
import mongoose from 'mongoose';
import type { Stack } from '#stack';
import { withMySql } from './access.ts';

/** The names of one run; on servers that were given by URL each of them is the run's own. */
export interface RunNames {
  /** Also prefix of the topics and of the keys in Redis. */
  readonly source: string;
  readonly mirror: string;
  readonly databases: readonly string[];
  readonly reader: string;
  readonly state: string;
}

/** Removes what a run made on servers that continue to run when it ends; a stack need not have both sinks. */
export async function removeTraces(stack: Stack, names: RunNames): Promise<void> {
  await withMySql(stack.url('mysql-primary'), async (connection) => {
    for (const database of names.databases) await connection.query(`DROP DATABASE IF EXISTS \`${database}\``);
    await connection.query(`DROP USER IF EXISTS '${names.reader}'@'%'`);
  });
  await withMySql(stack.url('mysql-state'), async (connection) => {
    await connection.query(`DROP DATABASE IF EXISTS \`${names.state}\``);
    await connection.query(`DROP USER IF EXISTS '${names.state}'@'%'`);
  });
  const { mongo, kafka } = stack.urls();
  if (mongo !== undefined) await dropMirror(mongo, names.mirror);
  if (kafka !== undefined) await deleteTopics(kafka.split(','), `${names.source}.`);
  await deleteKeys(stack.url('redis'), names.source);
}

async function dropMirror(url: string, mirror: string): Promise<void> {
  const client = await new mongoose.mongo.MongoClient(url).connect();
  try {
    await client.db(mirror).dropDatabase();
  } finally {
    await client.close();
  }
}

async function deleteTopics(brokers: readonly string[], prefix: string): Promise<void> {
  const admin = new Admin({ clientId: 'demo', bootstrapBrokers: [...brokers] });
  try {
    const topics = (await admin.listTopics()).filter((topic) => topic.startsWith(prefix));
    if (topics.length > 0) await admin.deleteTopics({ topics });
  } finally {
    await admin.close();
  }
}

/** Every key of a deployment has its prefix in it, which is this run's own name. */
async function deleteKeys(url: string, name: string): Promise<void> {
  const redis = new Redis(url);
  try {
    for await (const keys of redis.scanStream({ match: `*${name}*`, count: 1_000 }) as AsyncIterable<string[]>)
      if (keys.length > 0) await redis.unlink(...keys);
  } finally {
    redis.disconnect();
  }
}

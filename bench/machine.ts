import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import mongoose from 'mongoose';
import type { RowDataPacket } from 'mysql2/promise';
import { type Stack } from '#stack';
import { connectWriter } from './workload.ts';

const root = join(import.meta.dirname, '..');

export interface Machine {
  readonly cores: number;
  readonly cpu: string;
  readonly memoryBytes: number;
  /** Of the last minute, before the measurement: above the number of cores others were at work. */
  readonly loadAverage: number;
}

export function describeMachine(): Machine {
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model ?? 'unknown',
    memoryBytes: totalmem(),
    loadAverage: Number((loadavg()[0] ?? 0).toFixed(2)),
  };
}

/** Versions of what took part; null for a server that doesn't say it. */
export async function readVersions(stack: Stack): Promise<Readonly<Record<string, string | null>>> {
  const { urls, kind } = { urls: stack.urls(), kind: stack.kind };
  return {
    ditto: readDittoVersion(),
    node: process.versions.node,
    mysql: await readMySqlVersion(stack.url('mysql-primary')),
    ...(urls.kafka !== undefined && { kafka: readKafkaVersion(kind) }),
    ...(urls.mongo !== undefined && (await readMongoVersions(urls.mongo))),
  };
}

function readDittoVersion(): string {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly version: string };
  return version;
}

async function readMySqlVersion(url: string): Promise<string> {
  const connection = await connectWriter(url);
  try {
    const [[row]] = await connection.query<RowDataPacket[]>('SELECT VERSION() AS version');
    return String(row?.['version']);
  } finally {
    connection.destroy();
  }
}

/** Brokers don't report their version; it is the one that the stack is pinned to. */
function readKafkaVersion(kind: Stack['kind']): string | null {
  if (kind === 'given') return null;
  const native = kind === 'native';
  const text = readFileSync(join(root, native ? 'stack/native/kafka/pom.xml' : 'docker-compose.yml'), 'utf8');
  const found = native ? /<artifactId>kafka_[^]*?<version>([^<]+)/.exec(text) : /image: apache\/kafka:(\S+)/.exec(text);
  return found?.[1] ?? null;
}

/** FerretDB says both which MongoDB it replaces and its own version. */
async function readMongoVersions(url: string): Promise<Readonly<Record<string, string | null>>> {
  const client = await new mongoose.mongo.MongoClient(url).connect();
  try {
    const info = await client.db('admin').command({ buildInfo: 1 });
    const ferretdb = (info['ferretdb'] as { readonly version?: string } | undefined)?.version;
    return { mongo: String(info['version']), ...(ferretdb !== undefined && { ferretdb }) };
  } finally {
    await client.close();
  }
}

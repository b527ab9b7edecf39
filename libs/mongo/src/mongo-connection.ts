import { Backoff, type ClientTls, type DittoError, type Logger, retry, toDittoError } from '#kernel';
import mongoose, { type Connection, type mongo } from 'mongoose';
import { FROM_MAJORITY } from './index-pages.ts';
import { classifyMongoError } from './mongo-errors.ts';
import { askMembers, toDriverTls } from './mongo-tls.ts';
import { splitUrlOptions } from './url-options.ts';
import { BY_MAJORITY } from './write-command.ts';

export interface MongoConnectionOptions {
  readonly url: string;
  /** Options of the URL about TLS are not used then; left out: as the URL says. */
  readonly tls?: ClientTls | undefined;
  /** Shown in the server's own views. Default `ditto`. */
  readonly appName?: string;
  /** Connections of this process at most; more calls wait. Default 32. */
  readonly maxConnections?: number;
  /** How long an operation waits for a server to be there before it fails for now. Default 3,000. */
  readonly serverSelectionTimeoutMs?: number;
  /**
   * How long a connection may be silent in a call before it counts as dead. Longer than any call of Ditto's takes: a page
   * of a read 8 s, a write the time that the members may need to confirm it and its own. Default 20,000. When the server
   * as a whole is silent the heartbeats notice it sooner, after 5 s.
   */
  readonly socketTimeoutMs?: number;
  /** False: one attempt, then the error. Default true: an unreachable server is waited for without a limit. */
  readonly waitForServer?: boolean;
  readonly signal?: AbortSignal;
  readonly logger: Logger;
}

/** An open connection pool; shared by all that this process does with one MongoDB. */
export class MongoConnection {
  /** For models of the services' own documents. Rows never pass through models. */
  readonly mongoose: Connection;

  constructor(connection: Connection) {
    this.mongoose = connection;
  }

  get client(): mongo.MongoClient {
    return this.mongoose.getClient();
  }

  db(name: string): mongo.Db {
    return this.client.db(name);
  }

  /** Rejects with a coded error when the server doesn't answer. */
  async ping(): Promise<void> {
    try {
      await this.client.db('admin').command({ ping: 1 });
    } catch (error) {
      throw classifyMongoError(error);
    }
  }

  async close(): Promise<void> {
    await this.mongoose.close(true);
  }
}

/**
 * Connects through mongoose. A server that can't be reached is waited for; what TLS or the server refuses and a malformed
 * URL are thrown at once, coded. Later losses of the connection heal by themselves: until then operations fail with
 * retriable errors. The driver's own retries of writes are off: a standalone server and FerretDB refuse them, and every
 * write here is repeatable as a whole. Reads are from the primary, of what a majority has confirmed, and a write is
 * confirmed by a majority unless the call says otherwise, whatever the URL says.
 */
export async function openMongo(options: MongoConnectionOptions): Promise<MongoConnection> {
  const { signal, logger } = options;
  return retry(() => connect(options), {
    backoff: new Backoff({ initialMs: 200, maxMs: 5000 }),
    ...(signal && { signal }),
    isRetriable: (error) => options.waitForServer !== false && isAway(toDittoError(error)),
    log: { logger, message: 'waiting for MongoDB' },
  });
}

function isAway({ retriable, code }: DittoError): boolean {
  return retriable && code !== 'DITTO_MONGO_TLS_FAILED';
}

/** Between two questions of the driver's monitor; an answer may take `connectTimeoutMS` in addition. */
const HEARTBEAT_MS = 2000;

async function connect(options: MongoConnectionOptions): Promise<MongoConnection> {
  const {
    tls,
    appName = 'ditto',
    maxConnections = 32,
    serverSelectionTimeoutMs = 3000,
    socketTimeoutMs = 20_000,
    logger,
  } = options;
  const { url, ignored } = splitUrlOptions(options.url, tls !== undefined);
  if (ignored.length > 0)
    logger.warn('options of the MongoDB URL are not used: Ditto sets them itself', { options: ignored.join(', ') });
  let connection: Connection | null = null;
  try {
    connection = mongoose.createConnection(url, {
      appName,
      maxPoolSize: maxConnections,
      serverSelectionTimeoutMS: serverSelectionTimeoutMs,
      connectTimeoutMS: serverSelectionTimeoutMs,
      socketTimeoutMS: socketTimeoutMs,
      heartbeatFrequencyMS: HEARTBEAT_MS,
      retryWrites: false,
      ...FROM_MAJORITY,
      writeConcern: BY_MAJORITY,
      autoIndex: false,
      autoCreate: false,
      ...(tls && toDriverTls(tls)),
    });
    connection.on('error', (error: Error) => logger.warn('MongoDB connection', { error: error.message }));
    await connection.asPromise();
    return new MongoConnection(connection);
  } catch (error) {
    await connection
      ?.close(true)
      .catch((cause: unknown) => logger.debug('closing a failed connection', { cause: String(cause) }));
    throw await explain(error, tls);
  }
}

async function explain(error: unknown, tls: ClientTls | undefined): Promise<DittoError> {
  const classified = classifyMongoError(error);
  if (tls === undefined || classified.code !== 'DITTO_MONGO_UNAVAILABLE') return classified;
  return (await askMembers(error, tls)) ?? classified;
}

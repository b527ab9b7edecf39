import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type MySqlConnectionOptions, MySqlEndpoint, MySqlRowReader } from '#mysql';
import { DittoError } from '#kernel';
import { type ChunkRead } from '#replication';
import { OwnServer } from '#testing';
import { TestSource } from './test-source.ts';

const signal = new AbortController().signal;

interface Refusal {
  readonly what: string;
  /** `<user>` is Ditto's. */
  readonly cause: readonly string[];
  /** With the password `wrong`, again at the end with the right one. */
  readonly wrongLogins?: number;
  readonly undo: readonly string[];
  readonly code: string;
  readonly retriable: boolean;
  readonly remedy: RegExp;
}

const EVERYWHERE: readonly Refusal[] = [
  {
    what: 'another password',
    cause: ["ALTER USER <user> IDENTIFIED BY 'second'"],
    undo: ["ALTER USER <user> IDENTIFIED BY 'secret'"],
    code: 'DITTO_SOURCE_ACCESS_DENIED',
    retriable: false,
    remedy: /user, password/,
  },
  {
    what: 'an expired password',
    cause: ['ALTER USER <user> PASSWORD EXPIRE'],
    undo: ["ALTER USER <user> IDENTIFIED BY 'secret'"],
    code: 'DITTO_SOURCE_ACCESS_DENIED',
    retriable: false,
    remedy: /PASSWORD EXPIRE NEVER/,
  },
  {
    what: 'a locked account',
    cause: ['ALTER USER <user> ACCOUNT LOCK'],
    undo: ['ALTER USER <user> ACCOUNT UNLOCK'],
    code: 'DITTO_SOURCE_ACCESS_DENIED',
    retriable: false,
    remedy: /ACCOUNT UNLOCK/,
  },
  {
    what: 'a host that has no account',
    cause: ["RENAME USER <user>@'%' TO <user>@'192.0.2.1'"],
    undo: ["RENAME USER <user>@'192.0.2.1' TO <user>@'%'"],
    code: 'DITTO_SOURCE_ACCESS_DENIED',
    retriable: false,
    remedy: /restart the source/,
  },
  {
    what: 'a limit of the user',
    cause: ['ALTER USER <user> WITH MAX_QUERIES_PER_HOUR 1', 'FLUSH USER_RESOURCES'],
    undo: ['ALTER USER <user> WITH MAX_QUERIES_PER_HOUR 0', 'FLUSH USER_RESOURCES'],
    code: 'DITTO_SOURCE_BUSY',
    retriable: true,
    remedy: /MAX_QUERIES_PER_HOUR 0/,
  },
];

const SERVERS: readonly { name: 'mysql-primary' | 'mariadb'; refusals: readonly Refusal[] }[] = [
  {
    name: 'mysql-primary',
    refusals: [
      {
        what: 'a server that takes encrypted connections only',
        cause: ['SET GLOBAL require_secure_transport = ON'],
        undo: ['SET GLOBAL require_secure_transport = OFF'],
        code: 'DITTO_SOURCE_TLS_FAILED',
        retriable: false,
        remedy: /tls/,
      },
      {
        what: 'offline mode',
        cause: ['SET GLOBAL offline_mode = ON'],
        undo: ['SET GLOBAL offline_mode = OFF'],
        code: 'DITTO_SOURCE_UNREACHABLE',
        retriable: true,
        remedy: /offline_mode = OFF/,
      },
      {
        what: 'an account that failed logins have locked',
        cause: ['ALTER USER <user> FAILED_LOGIN_ATTEMPTS 1 PASSWORD_LOCK_TIME 1'],
        wrongLogins: 1,
        undo: ['ALTER USER <user> FAILED_LOGIN_ATTEMPTS 0 PASSWORD_LOCK_TIME 0 ACCOUNT UNLOCK'],
        code: 'DITTO_SOURCE_ACCESS_DENIED',
        retriable: false,
        remedy: /ACCOUNT UNLOCK/,
      },
    ],
  },
  {
    name: 'mariadb',
    refusals: [
      // it answers like to a wrong password
      {
        what: 'a server that takes encrypted connections only',
        cause: ['SET GLOBAL require_secure_transport = ON'],
        undo: ['SET GLOBAL require_secure_transport = OFF'],
        code: 'DITTO_SOURCE_ACCESS_DENIED',
        retriable: false,
        remedy: /requires TLS/,
      },
      {
        what: 'an account that failed logins have blocked',
        cause: ['SET GLOBAL max_password_errors = 1'],
        wrongLogins: 1,
        undo: ['SET GLOBAL max_password_errors = DEFAULT', 'FLUSH PRIVILEGES'],
        code: 'DITTO_SOURCE_ACCESS_DENIED',
        retriable: false,
        remedy: /FLUSH PRIVILEGES/,
      },
    ],
  },
];

describe.each(SERVERS)('I6: what $name refuses has a code, a class and a remedy', ({ name, refusals }) => {
  let server: OwnServer;
  let source: TestSource;
  let connection: MySqlConnectionOptions;

  beforeAll(async () => {
    server = await OwnServer.start(name);
    source = await TestSource.open('refusals', server.url);
    connection = await source.createUser('REPLICATION SLAVE, REPLICATION CLIENT', 'SELECT');
  }, 300_000);
  afterAll(async () => {
    await source.close();
    await server.end();
  });

  async function connect(password = connection.password): Promise<DittoError | null> {
    try {
      await new MySqlEndpoint({ ...connection, password }).inspect(signal);
      return null;
    } catch (error) {
      if (error instanceof DittoError) return error;
      throw error;
    }
  }

  async function run(statements: readonly string[]): Promise<void> {
    await source.run(...statements.map((statement) => statement.replaceAll('<user>', connection.user)));
  }

  test.each([...EVERYWHERE, ...refusals])(
    '$what',
    async ({ cause, wrongLogins = 0, undo, code, retriable, remedy }) => {
      await run(cause);
      for (let i = 0; i < wrongLogins; i++) await connect('wrong');
      const refused = await connect();
      await run(undo);
      expect(refused).toMatchObject({ code, retriable, remedy: expect.stringMatching(remedy) });
      expect(await connect()).toBeNull();
    },
  );

  test.each(['CONNECTION', 'QUERY'])('a read whose %s is killed can be tried again', async (what) => {
    await source.run('CREATE TABLE IF NOT EXISTS t (id INT PRIMARY KEY)', 'LOCK TABLES t WRITE');
    const reader = new MySqlRowReader({ connection, includes: source.includes });
    const [layout] = await reader.listTables(signal);
    if (layout === undefined) throw new Error('no table');
    const read = (): Promise<ChunkRead> =>
      reader.readChunk({ layout, after: null, limit: 1, dispatchedSet: '', signal });
    const killed = expect(read()).rejects.toMatchObject({ code: 'DITTO_SOURCE_CONNECTION_LOST', retriable: true });
    let id: string | null = null;
    while (id === null)
      id = await source.value(
        "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = ? AND COMMAND = 'Query' AND STATE LIKE '%metadata lock%'",
        [connection.user],
      );
    await source.run(`KILL ${what} ${id}`, 'UNLOCK TABLES');
    await killed;
    expect(await read()).toMatchObject({ rows: [], complete: true });
    reader.close();
  });
});

import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  AclOperations,
  AclPermissionTypes,
  Admin,
  alterUserScramCredentialsV0,
  ConfigResourceTypes,
  IncrementalAlterConfigOperationTypes,
  ResourcePatternTypes,
  ResourceTypes,
  ScramMechanisms,
} from '@platformatic/kafka';

import { findFreePorts, type Stack, startStack } from '#stack';
import { FaultProxy, type Identity, makeTestCertificates, TestAuthority, type TestCertificates } from '#testing';

type Settings = Readonly<Record<string, string | number | boolean>>;

/** What clients connect to; each listener is another way to protect, or to fail to protect, one and the same broker. */
export type Listener = keyof ReturnType<typeof describeListeners>;

export interface Login {
  readonly username: string;
  readonly password: string;
}

const ITERATIONS = 4096;

function pem(text: string): string {
  return text.trimEnd().replaceAll('\n', '\\n');
}

function present({ cert, key }: Identity): Settings {
  return {
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.certificate.chain': pem(cert),
    'ssl.keystore.key': pem(key),
  };
}

function describeListeners(made: TestCertificates, byName: Identity, byAddress: Identity, login: Login) {
  const plainLogin = [
    'org.apache.kafka.common.security.plain.PlainLoginModule required',
    `user_${login.username}="${login.password}" user_nobody="${login.password}";`,
  ].join(' ');
  const scramLogin = 'org.apache.kafka.common.security.scram.ScramLoginModule required;';
  const trust = { 'ssl.truststore.type': 'PEM', 'ssl.truststore.certificates': pem(made.ca) };
  const ssl = (identity: Identity, more: Settings = {}) => ({
    protocol: 'SSL',
    settings: { ...present(identity), ...more },
  });
  const encryptedLogin = {
    ...present(made.server),
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    'plain.sasl.jaas.config': plainLogin,
    'scram-sha-256.sasl.jaas.config': scramLogin,
    'scram-sha-512.sasl.jaas.config': scramLogin,
  };
  return {
    trusted: ssl(made.server),
    expired: ssl(made.expired),
    notyetvalid: ssl(made.notYetValid),
    otherhost: ssl(made.otherHost),
    foreign: ssl(made.foreign),
    byname: ssl(byName),
    byaddress: ssl(byAddress),
    renewed: ssl(made.server),
    mutual: ssl(made.server, { ...trust, 'ssl.client.auth': 'required' }),
    login: { protocol: 'SASL_SSL', settings: encryptedLogin },
    login2s: { protocol: 'SASL_SSL', settings: { ...encryptedLogin, 'connections.max.reauth.ms': 2_000 } },
    login12s: { protocol: 'SASL_SSL', settings: { ...encryptedLogin, 'connections.max.reauth.ms': 11_500 } },
    openlogin: {
      protocol: 'SASL_PLAINTEXT',
      settings: {
        'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-512',
        'plain.sasl.jaas.config': plainLogin,
        'scram-sha-512.sasl.jaas.config': scramLogin,
      },
    },
  } satisfies Record<string, { readonly protocol: string; readonly settings: Settings }>;
}

/**
 * A broker of a test's own with many listeners, each behind a proxy. A client that has not logged in may do everything.
 */
export class SecureBroker {
  readonly certificates: TestCertificates;
  /** May do everything. One named `nobody`, with the same password, may do nothing; it logs in with PLAIN only. */
  readonly login: Login;
  readonly #stack: Stack;
  readonly #proxies: Readonly<Record<Listener, FaultProxy>>;

  private constructor(
    stack: Stack,
    certificates: TestCertificates,
    login: Login,
    proxies: Readonly<Record<Listener, FaultProxy>>,
  ) {
    this.#stack = stack;
    this.certificates = certificates;
    this.login = login;
    this.#proxies = proxies;
  }

  static async start(): Promise<SecureBroker> {
    const authority = await TestAuthority.create();
    const made = await makeTestCertificates(['localhost', '127.0.0.1'], 'ditto', authority);
    const login = { username: 'ditto', password: randomBytes(12).toString('hex') };
    const listeners = describeListeners(
      made,
      await authority.issueServer(['localhost', 'kafka.test']),
      await authority.issueServer(['127.0.0.1']),
      login,
    );
    const names = Object.keys(listeners) as Listener[];
    const ports = await findFreePorts(names.length);
    const proxies = {} as Record<Listener, FaultProxy>;
    for (const [index, name] of names.entries())
      proxies[name] = await FaultProxy.open({ host: '127.0.0.1', port: ports[index] as number });
    const folder = await mkdtemp(join(tmpdir(), 'ditto-secure-broker-'));
    await mkdir(join(folder, 'kafka-1'));
    await writeFile(join(folder, 'kafka-1', 'more.properties'), formatListeners(listeners, proxies));
    const environment = { ...process.env, DITTO_STACK_KIND: 'native' };
    const stack = await startStack({ folder, servers: ['kafka'], environment });
    const broker = new SecureBroker(stack, made, login, proxies);
    await broker.#keepScramPassword();
    return broker;
  }

  /** Of clients that need neither TLS nor a login. */
  get openAddress(): string {
    return this.#stack.url('kafka');
  }

  address(listener: Listener, host = '127.0.0.1'): string {
    return `${host}:${this.#proxies[listener].port}`;
  }

  proxy(listener: Listener): FaultProxy {
    return this.#proxies[listener];
  }

  /** For connections that are made from now on. */
  async present(listener: Listener, identity: Identity): Promise<void> {
    const configs = Object.entries(present(identity)).map(([name, value]) => ({
      name: `listener.name.${listener}.${name}`,
      value: String(value).replaceAll('\\n', '\n'),
      configOperation: IncrementalAlterConfigOperationTypes.SET,
    }));
    await this.#administer((admin) =>
      admin.incrementalAlterConfigs({
        resources: [{ resourceType: ConfigResourceTypes.BROKER, resourceName: '1', configs }],
      }),
    );
  }

  /** All topics. */
  allowDescribing(user: string): Promise<void> {
    const acl = {
      resourceType: ResourceTypes.TOPIC,
      resourceName: '*',
      resourcePatternType: ResourcePatternTypes.LITERAL,
      principal: `User:${user}`,
      host: '*',
      operation: AclOperations.DESCRIBE,
      permissionType: AclPermissionTypes.ALLOW,
    };
    return this.#administer((admin) => admin.createAcls({ creations: [acl] }));
  }

  async end(): Promise<void> {
    for (const proxy of Object.values(this.#proxies)) proxy.close();
    await this.#stack.down();
    await rm(this.#stack.folder, { recursive: true, force: true });
  }

  #keepScramPassword(): Promise<void> {
    const { username, password } = this.login;
    const kinds = [
      [ScramMechanisms.SCRAM_SHA_256, 'sha256', 32],
      [ScramMechanisms.SCRAM_SHA_512, 'sha512', 64],
    ] as const;
    return this.#administer(async (admin) => {
      const connections = await admin.connectToBrokers();
      const [connection] = [...connections.values()];
      if (connection === undefined) throw new Error('the broker is not there');
      for (const [mechanism, digest, bytes] of kinds) {
        const salt = randomBytes(16);
        const saltedPassword = pbkdf2Sync(password, salt, ITERATIONS, bytes, digest);
        const credential = { name: username, mechanism, iterations: ITERATIONS, salt, saltedPassword };
        await alterUserScramCredentialsV0.api.async(connection, [], [credential]);
      }
    });
  }

  async #administer(work: (admin: Admin) => Promise<void>): Promise<void> {
    const admin = new Admin({ clientId: 'administrator', bootstrapBrokers: this.openAddress.split(',') });
    try {
      await work(admin);
    } finally {
      await admin.close();
    }
  }
}

/** The `advertised.listeners` are the proxies, so that a client comes back to the one by which it came. */
function formatListeners(
  listeners: ReturnType<typeof describeListeners>,
  proxies: Readonly<Record<Listener, FaultProxy>>,
): string {
  const names = Object.keys(listeners) as Listener[];
  const list = (format: (name: Listener) => string): string => names.map(format).join(',');
  const properties: Settings = {
    listeners: list((name) => `${name.toUpperCase()}://127.0.0.1:${proxies[name].target.port}`),
    'advertised.listeners': list((name) => `${name.toUpperCase()}://127.0.0.1:${proxies[name].port}`),
    'listener.security.protocol.map': list((name) => `${name.toUpperCase()}:${listeners[name].protocol}`),
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users': 'User:ANONYMOUS;User:ditto;User:CN=ditto',
    'num.network.threads': 1,
    'ssl.allow.dn.changes': true,
    'ssl.allow.san.changes': true,
    ...Object.fromEntries(
      names.flatMap((name) =>
        Object.entries(listeners[name].settings).map(([key, value]) => [`listener.name.${name}.${key}`, value]),
      ),
    ),
  };
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${String(value)}\n`)
    .join('');
}

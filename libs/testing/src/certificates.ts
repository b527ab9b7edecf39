import 'reflect-metadata';
import { type webcrypto } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import type * as X509 from '@peculiar/x509';

/** A certificate and its private key (PKCS #8), both PEM. */
export interface Identity {
  readonly cert: string;
  readonly key: string;
}

/** Whatever a TLS test needs, made for one server. All PEM. */
export interface TestCertificates {
  /** The authority of all but `foreign`, `foreignClient` and `foreignCa`. */
  readonly ca: string;
  /** For the host names and addresses that were asked for. */
  readonly server: Identity;
  /** The same, but valid until yesterday. */
  readonly expired: Identity;
  /** The same, but valid from tomorrow on. */
  readonly notYetValid: Identity;
  /** Valid, but for `other.invalid` only. */
  readonly otherHost: Identity;
  /** Like `server`, but from an authority that has the same name as `ca` and is another one. */
  readonly foreign: Identity;
  readonly foreignCa: string;
  readonly client: Identity;
  readonly expiredClient: Identity;
  readonly foreignClient: Identity;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;

/** In days from now. */
const VALIDITY = { now: [-1, 9], past: [-2, -1], future: [1, 9] } as const;

/** When a certificate is valid. */
export type Validity = keyof typeof VALIDITY;

/** Issues certificates. It is not trusted by anything but what is given its certificate. */
export class TestAuthority {
  readonly certificate: string;
  readonly #x509: typeof X509;
  readonly #keys: webcrypto.CryptoKeyPair;
  readonly #name: string;

  private constructor(x509: typeof X509, keys: webcrypto.CryptoKeyPair, name: string, certificate: string) {
    this.#x509 = x509;
    this.#keys = keys;
    this.#name = name;
    this.certificate = certificate;
  }

  static async create(name = 'CN=Ditto test authority'): Promise<TestAuthority> {
    // here and not above: it takes longer to load than most tests that use this lib take to run
    const x509 = await import('@peculiar/x509');
    const keys = await makeKeys();
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: makeSerialNumber(),
      name,
      ...daysFromNow([-2, 10]),
      signingAlgorithm: ALGORITHM,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return new TestAuthority(x509, keys, name, toPem(certificate));
  }

  /** @param hosts names and addresses; they are compared, the subject is not */
  issueServer(hosts: readonly string[], validity: Validity = 'now'): Promise<Identity> {
    const x509 = this.#x509;
    return this.#issue(`CN=${hosts[0] ?? 'server'}`, validity, [
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        hosts.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }) as const),
      ),
    ]);
  }

  issueClient(name: string, validity: Validity = 'now'): Promise<Identity> {
    const x509 = this.#x509;
    return this.#issue(`CN=${name}`, validity, [
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
    ]);
  }

  async #issue(subject: string, validity: Validity, extensions: readonly X509.Extension[]): Promise<Identity> {
    const x509 = this.#x509;
    const keys = await makeKeys();
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: makeSerialNumber(),
      subject,
      issuer: this.#name,
      ...daysFromNow(VALIDITY[validity]),
      signingAlgorithm: ALGORITHM,
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
        await x509.AuthorityKeyIdentifierExtension.create(this.#keys.publicKey),
        ...extensions,
      ],
    });
    const key = await crypto.subtle.exportKey('pkcs8', keys.privateKey);
    return { cert: toPem(certificate), key: this.#x509.PemConverter.encode(key, 'PRIVATE KEY') + '\n' };
  }
}

/** @param hosts names and addresses of the server; `clientName` is the common name of the client certificates */
export async function makeTestCertificates(
  hosts: readonly string[] = ['localhost', '127.0.0.1'],
  clientName = 'ditto',
  givenAuthority?: TestAuthority,
): Promise<TestCertificates> {
  const [authority, foreign] = await Promise.all([givenAuthority ?? TestAuthority.create(), TestAuthority.create()]);
  return {
    ca: authority.certificate,
    server: await authority.issueServer(hosts),
    expired: await authority.issueServer(hosts, 'past'),
    notYetValid: await authority.issueServer(hosts, 'future'),
    otherHost: await authority.issueServer(['other.invalid']),
    foreign: await foreign.issueServer(hosts),
    foreignCa: foreign.certificate,
    client: await authority.issueClient(clientName),
    expiredClient: await authority.issueClient(clientName, 'past'),
    foreignClient: await foreign.issueClient(clientName),
  };
}

/** `<name>.pem` and `<name>-key.pem` in this folder; gives the paths. */
export async function writeIdentity(folder: string, name: string, identity: Identity): Promise<Identity> {
  const paths = { cert: join(folder, `${name}.pem`), key: join(folder, `${name}-key.pem`) };
  await mkdir(folder, { recursive: true });
  await writeFile(paths.cert, identity.cert);
  await writeFile(paths.key, identity.key, { mode: 0o600 });
  return paths;
}

/** The same structure with the paths of the files: `ca.pem`, `server.pem`, `server-key.pem`, `expired.pem`, … */
export async function writeTestCertificates(folder: string, made: TestCertificates): Promise<TestCertificates> {
  await mkdir(folder, { recursive: true });
  const entries = Object.entries(made).map(async ([name, value]: [string, string | Identity]) => {
    if (typeof value !== 'string') return [name, await writeIdentity(folder, name, value)];
    const path = join(folder, `${name}.pem`);
    await writeFile(path, value);
    return [name, path];
  });
  return Object.fromEntries(await Promise.all(entries)) as TestCertificates;
}

function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

/** Two certificates of one issuer with one number would count as one. */
function makeSerialNumber(): string {
  return `01${Buffer.from(crypto.getRandomValues(new Uint8Array(15))).toString('hex')}`;
}

function daysFromNow([from, to]: readonly [from: number, to: number]): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now + from * DAY_MS), notAfter: new Date(now + to * DAY_MS) };
}

function toPem(certificate: X509.X509Certificate): string {
  return `${certificate.toString('pem')}\n`;
}

import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';

/** PEM texts. */
export interface TlsMaterial {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/** How connections to a server are encrypted. */
export interface ClientTls extends TlsMaterial {
  /** The name or address that the certificate has to have, when that is not the host. */
  readonly servername?: string | undefined;
  /** Chain and name of the certificate are checked unless false. */
  readonly rejectUnauthorized?: boolean | undefined;
}

export interface TlsMaterialProblem {
  readonly option: keyof TlsMaterial;
  readonly problem: string;
  readonly remedy: string;
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/**
 * What keeps these texts from being used, or null. Node itself passes over an authority that it can't read, and throws
 * for the others only when a connection is made. No text is in the answer.
 */
export function findTlsMaterialProblem({ ca, cert, key }: TlsMaterial, now = Date.now()): TlsMaterialProblem | null {
  for (const [option, text] of [
    ['ca', ca],
    ['cert', cert],
  ] as const) {
    const problem = text === undefined ? null : findCertificateProblem(option, text, now);
    if (problem !== null) return { option, ...problem };
  }
  if ((cert === undefined) !== (key === undefined))
    return {
      option: cert === undefined ? 'cert' : 'key',
      problem: 'is missing, but the other half is given',
      remedy: 'A certificate and its private key go together: give both, or neither.',
    };
  try {
    createSecureContext({ cert, key });
    return null;
  } catch (error) {
    const reason = (error as { readonly reason?: unknown }).reason;
    return {
      option: 'key',
      problem: `can not be used with the certificate${typeof reason === 'string' ? `: ${reason}` : ''}`,
      remedy: 'Give the private key that belongs to the certificate, as PEM and without a passphrase.',
    };
  }
}

function findCertificateProblem(
  option: 'ca' | 'cert',
  text: string,
  now: number,
): Omit<TlsMaterialProblem, 'option'> | null {
  const parsed = (text.match(CERTIFICATE) ?? []).map(parse);
  if (parsed.length === 0 || parsed.includes(null))
    return {
      problem: 'is not a certificate',
      remedy: 'Give one or more certificates as PEM: -----BEGIN CERTIFICATE----- … -----END CERTIFICATE-----.',
    };
  // a bundle of authorities may hold old ones beside those that count
  const [first] = parsed;
  if (option === 'ca' || !first || Date.parse(first.validTo) >= now) return null;
  return { problem: `has expired on ${first.validTo}`, remedy: 'Renew it.' };
}

function parse(pem: string): X509Certificate | null {
  try {
    return new X509Certificate(pem);
  } catch {
    return null;
  }
}

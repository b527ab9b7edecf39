import { TlsErrors } from '#kernel';

import { type ErrorLink, linksOf } from './error-chain.ts';
import { KAFKA_ERROR_CODES } from './kafka-error-codes.ts';

/** Why a broker does not take a connection, or is not trusted. */
export interface Refusal {
  readonly code: string;
  readonly retriable: boolean;
  readonly remedy: string;
}

/** Of an error that says that a broker without configured TLS answers with TLS. */
export const TLS_REQUIRED = 'BROKER_REQUIRES_TLS';

const OPTION = 'kafka.tls';

export const tlsErrors = new TlsErrors({ code: KAFKA_ERROR_CODES.untrusted, server: 'Kafka', option: OPTION });

const NO_TLS_CONFIGURED = `The brokers take encrypted connections only there: set ${OPTION}, to {} or with a ca. Only where the network is trusted, give the addresses of a listener without TLS in kafka.brokers.`;

export const CUT_IN_HANDSHAKE = `Check the brokers. A listener without TLS ends a connection like this, too: give the addresses of one with TLS in kafka.brokers, or switch TLS on there. Only where the network is trusted, remove ${OPTION}.`;

/** The broker's word on a login, and what to do about it. */
const LOGIN_REMEDIES: Readonly<Record<string, string>> = {
  SASL_AUTHENTICATION_FAILED: 'Check kafka.sasl: username, password, and that the user has this mechanism.',
  UNSUPPORTED_SASL_MECHANISM: 'Set kafka.sasl.mechanism to one that the brokers offer (sasl.enabled.mechanisms there)',
  ILLEGAL_SASL_STATE:
    'The brokers ask for no login there: give the addresses of a listener with SASL in kafka.brokers, or remove kafka.sasl.',
};

const LOGIN_ERRORS: ReadonlySet<unknown> = new Set(['PLT_KFK_AUTHENTICATION', 'KafkaJSSASLAuthenticationError']);
/** kafkajs keeps of an error during a login its text only. */
const LOST_CONNECTION = /closed connection|connection (?:closed|error|timeout|not available)|not connected|timed out/i;

/**
 * Null for any other error. What TLS refuses is retriable: a certificate may be renewed while this process runs. A login
 * is not: what is refused now is refused again, and some brokers lock an account after a few attempts.
 */
export function findRefusal(error: unknown): Refusal | null {
  const links = linksOf(error);
  const remedy = findTlsRemedy(links);
  if (remedy !== null) return { code: KAFKA_ERROR_CODES.untrusted, retriable: true, remedy };
  const ofLogin = findLoginRemedy(links);
  return ofLogin === null ? null : { code: KAFKA_ERROR_CODES.unauthenticated, retriable: false, remedy: ofLogin };
}

export function isTlsRefusal(error: unknown): boolean {
  return findTlsRemedy(linksOf(error)) !== null;
}

/** Whether the connection ended, and nothing says why. */
export function isClosedConnection(error: unknown): boolean {
  const messages = linksOf(error).map(({ message }) => message);
  return messages.some((message) => message === 'Connection closed' || message === 'Closed connection');
}

/** By a broker that went down, by something between without a living broker, or by a listener without TLS. */
export function isCutInHandshake(error: unknown): boolean {
  return linksOf(error).some(
    ({ code, message }) => code === 'ECONNRESET' && String(message).includes('before secure TLS connection'),
  );
}

function findTlsRemedy(links: readonly ErrorLink[]): string | null {
  for (const link of links) {
    const { code, message } = link;
    if (code === TLS_REQUIRED || message === 'Broker requires TLS.') return NO_TLS_CONFIGURED;
    const remedy = tlsErrors.findRemedy(link);
    if (remedy !== null) return remedy;
  }
  return null;
}

function findLoginRemedy(links: readonly ErrorLink[]): string | null {
  for (const { apiId, type } of links) {
    const answer = String(apiId ?? type);
    const remedy = LOGIN_REMEDIES[answer];
    if (remedy !== undefined) return answer === 'UNSUPPORTED_SASL_MECHANISM' ? remedy + offered(links) : remedy;
  }
  const login = links.find(({ code, name }) => LOGIN_ERRORS.has(code) || LOGIN_ERRORS.has(name));
  if (login === undefined || LOST_CONNECTION.test(String(login['message']))) return null;
  // a login that the network has interrupted
  if (linksOf(login['cause']).some(({ code }) => code === 'PLT_KFK_NETWORK')) return null;
  return LOGIN_REMEDIES['SASL_AUTHENTICATION_FAILED'] as string;
}

/** What the answer to SaslHandshake names. */
function offered(links: readonly ErrorLink[]): string {
  for (const { response } of links) {
    const mechanisms = (response as { readonly mechanisms?: unknown } | undefined)?.mechanisms;
    if (Array.isArray(mechanisms) && mechanisms.length > 0) return `: ${mechanisms.join(', ')}.`;
  }
  return '.';
}

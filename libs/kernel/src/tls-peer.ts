import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';

/** Options of Node's `tls.connect`. */
export interface ExpectedTlsPeer {
  /** The name that is sent to the server (SNI); empty: none is sent. */
  readonly servername: string;
  readonly checkServerIdentity: (host: string, certificate: PeerCertificate) => Error | undefined;
}

/**
 * The name or address that a certificate has to have, for a connection to `host`. Only names are sent to the server: an
 * address is no server name (RFC 6066, section 3), and Node warns of one (DEP0123).
 */
export function expectTlsPeer(host: string, servername?: string): ExpectedTlsPeer {
  const expected = servername ?? host;
  return {
    servername: isIP(expected) === 0 ? expected : '',
    checkServerIdentity: (_host, certificate) => checkServerIdentity(expected, certificate),
  };
}

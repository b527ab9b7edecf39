/** Why no encrypted connection to a server was made. `lost`: the network or the server failed meanwhile. */
export type TlsFailure =
  'certificate-expired' | 'other-host' | 'unknown-authority' | 'client-certificate' | 'not-offered' | 'lost' | 'other';

/**
 * Drivers put codes of their own over the codes of Node and OpenSSL, so the text counts too. An alert is what the server
 * says, of the client's certificate above all; the client's own reasons follow.
 */
const FAILURES: readonly (readonly [TlsFailure, RegExp])[] = [
  [
    'not-offered',
    /HANDSHAKE_NO_SSL_SUPPORT|ERR_TLS_NOT_OFFERED|ERR_SSL_WRONG_VERSION_NUMBER|does not support secure connection/,
  ],
  ['other', /protocol.version|internal.error|unrecognized.name/i],
  [
    'client-certificate',
    /ERR_TLS_ENDED|alert (?:bad|unsupported|unknown|certificate|revoked|handshake|access)|_ALERT_/i,
  ],
  ['lost', /before secure TLS connection was established|ECONNRESET|EPIPE|ETIMEDOUT|ECONNABORTED/],
  ['certificate-expired', /has expired|not yet valid|CERT_HAS_EXPIRED|CERT_NOT_YET_VALID/],
  ['other-host', /does not match certificate's altnames|ERR_TLS_CERT_ALTNAME_INVALID|HOSTNAME_MISMATCH/],
  [
    'unknown-authority',
    /unable to (?:verify|get)|self-signed|signature failure|invalid CA|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_/,
  ],
];

/** OpenSSL's reasons for not trusting a certificate, and errors of TLS of Node and of mysql2. */
const OF_TLS =
  /^(?:HANDSHAKE_(?:NO_SSL|SSL)_|ERR_(?:TLS|SSL)_|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|INVALID_(?:CA|PURPOSE)|HOSTNAME_MISMATCH)/;

/** Whether an error with this code came while TLS was being set up. */
export function isTlsCode(code: string): boolean {
  return OF_TLS.test(code);
}

export function classifyTlsFailure(code: string, message: string): TlsFailure {
  const text = `${code} ${message}`;
  return FAILURES.find(([, pattern]) => pattern.test(text))?.[0] ?? 'other';
}

/** @param option where TLS to that server is configured, as `state.tls` */
export function tlsRemedy(failure: TlsFailure, option: string): string {
  switch (failure) {
    case 'certificate-expired':
      return 'Renew the certificate of the server, and check the clocks of both machines.';
    case 'other-host':
      return `Connect by a name or address that is in the certificate of the server, or give one that is in ${option}.servername.`;
    case 'unknown-authority':
      return `Give the authority of the server's certificate in ${option}.ca; the server has to send the certificates between them.`;
    case 'client-certificate':
      return `Give a valid client certificate of an authority that the server trusts in ${option}.cert and ${option}.key.`;
    case 'not-offered':
      return `The server, or something on the way to it, offers no TLS: switch TLS on there. Only where the network is trusted, remove ${option}.`;
    case 'lost':
    case 'other':
      return `Check ${option}, and that the server speaks TLS 1.2 or newer.`;
  }
}

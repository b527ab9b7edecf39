import { expect, test } from '@jest/globals';
import { classifyTlsFailure, tlsRemedy } from './tls-failure.ts';

test.each([
  ['certificate-expired', 'CERT_HAS_EXPIRED', 'certificate has expired'],
  ['certificate-expired', 'HANDSHAKE_SSL_ERROR', 'certificate has expired'],
  ['certificate-expired', '', 'certificate is not yet valid'],
  ['other-host', 'HANDSHAKE_SSL_ERROR', "Hostname/IP does not match certificate's altnames: IP: 127.0.0.1 is not in"],
  ['other-host', 'ERR_TLS_CERT_ALTNAME_INVALID', ''],
  ['unknown-authority', 'HANDSHAKE_SSL_ERROR', 'unable to verify the first certificate; if the root CA is installed'],
  ['unknown-authority', 'HANDSHAKE_SSL_ERROR', 'self-signed certificate in certificate chain'],
  ['unknown-authority', '', 'unable to get local issuer certificate'],
  ['unknown-authority', 'CERT_SIGNATURE_FAILURE', 'certificate signature failure'],
  ['client-certificate', 'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', ''],
  ['client-certificate', '', '80FF:error:0A000418:SSL routines:ssl3_read_bytes:tlsv1 alert unknown ca:rec_layer_s3.c'],
  ['client-certificate', 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'tlsv13 alert certificate required'],
  ['client-certificate', 'ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED', ''],
  ['not-offered', 'HANDSHAKE_NO_SSL_SUPPORT', 'Server does not support secure connection'],
  ['not-offered', 'ERR_SSL_WRONG_VERSION_NUMBER', 'wrong version number'],
  ['lost', 'HANDSHAKE_SSL_ERROR', 'Client network socket disconnected before secure TLS connection was established'],
  ['lost', 'HANDSHAKE_SSL_ERROR', 'read ECONNRESET'],
  ['other', 'HANDSHAKE_SSL_ERROR', 'something else'],
  ['other', 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', ''],
  ['other', '', 'error:0A000438:SSL routines:ssl3_read_bytes:tlsv1 alert internal error:rec_layer_s3.c'],
] as const)('%s: %s %s', (failure, code, message) => {
  expect(classifyTlsFailure(code, message)).toBe(failure);
  expect(tlsRemedy(failure, 'state.tls')).toMatch(/state\.tls|certificate of the server/);
});

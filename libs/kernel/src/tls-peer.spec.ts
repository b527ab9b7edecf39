import { type PeerCertificate } from 'node:tls';
import { expect, test } from '@jest/globals';
import { expectTlsPeer } from './tls-peer.ts';

const certificate = { subject: { CN: 'x' }, subjectaltname: 'DNS:db.test, IP Address:10.0.0.1' } as PeerCertificate;

test.each([
  ['db.test', undefined, 'db.test', true],
  ['10.0.0.1', undefined, '', true],
  ['10.0.0.2', undefined, '', false],
  ['::1', undefined, '', false],
  ['localhost', undefined, 'localhost', false],
  ['10.0.0.2', 'db.test', 'db.test', true],
  ['localhost', '10.0.0.1', '', true],
  ['db.test', 'no.test', 'no.test', false],
] as const)('connected to %s, expecting %s: announces "%s", accepts: %s', (host, servername, announced, isAccepted) => {
  const peer = expectTlsPeer(host, servername);
  expect(peer.servername).toBe(announced);
  expect(peer.checkServerIdentity(host, certificate) === undefined).toBe(isAccepted);
});

import { z } from 'zod';
import { type DeepReadonly } from './deep-readonly.ts';
import { flag, renewableText, secret, text } from './options.ts';

export const tlsSchema = z
  .strictObject({
    ca: renewableText("Certificates (PEM) to trust instead of the system's; usually `{ file: … }`.").optional(),
    cert: renewableText('Client certificate (PEM).').optional(),
    key: secret('Private key (PEM) of the client certificate.').optional(),
    rejectUnauthorized: flag(true, 'Refuse servers whose certificate can not be verified.'),
    servername: text('Name to expect in the certificate when it is not the host.').optional(),
  })
  .meta({ description: 'Encrypt the connection; `tls: {}` trusts the authorities of the system.' });

/** Of a server that is connected to. */
export type TlsConfig = DeepReadonly<z.output<typeof tlsSchema>>;

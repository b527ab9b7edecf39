import { z } from 'zod';
import { milliseconds, secret, secretHttpUrl, text } from './options.ts';

/** What webhooks can be called for, and when. A new one is a line here, and a call of `Notifier.notify` where it happens. */
export const NOTICE_EVENTS = {
  'source.stopped': 'a source has stopped with a code and waits for an operator',
  'source.no-server': 'no endpoint of a source can be used; it is tried on',
  'source.switched': 'a source has moved to another server',
  'source.switch-failed': 'a switch that was asked for could not be done',
  'source.purge-near': 'the server may soon remove log that was not read yet (`purgeWarningMs`)',
  'rows.quarantined': 'a sink has refused a row for good, which is set aside: once an hour for a table and sink',
  'mismatches.found': 'rows of a table were found to differ in a sink: once for a run, table and sink',
} as const;
export type NoticeEvent = keyof typeof NOTICE_EVENTS;

const EVENT_NAMES = Object.keys(NOTICE_EVENTS) as [NoticeEvent, ...NoticeEvent[]];

const webhookSchema = z
  .strictObject({
    name: text('Names it in logs and metrics; another name gets no notice of before.').refine(
      (name) => name.length <= 64,
      'must have at most 64 characters',
    ),
    url: secretHttpUrl('Where notices are sent, by POST; without user and password.'),
    secret: z.string().min(16, 'must have at least 16 characters').pipe(secret('The secret.')).meta({
      description: 'Key of the signature, at least 16 characters; for example from `openssl rand -hex 32`.',
      secret: true,
    }),
    events: z
      .array(z.enum(EVENT_NAMES))
      .min(1, 'must name at least one event')
      .default([...EVENT_NAMES])
      .meta({ description: 'Which events it is called for. Default: all of them.' }),
    timeoutMs: milliseconds(10_000, 'How long an answer is waited for.', { min: 100, max: 60_000 }),
  })
  .meta({ description: 'One receiver.' });

export const webhooksSchema = z
  .array(webhookSchema)
  .default([])
  .meta({ description: 'Receivers of signed notices of what a person should know ([webhooks](webhooks.md)).' });

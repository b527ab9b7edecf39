import { z } from 'zod';
import { redisSchema, type sourceSchema, sourcesSchema, stateSchema } from './server-sections.ts';
import {
  auditSchema,
  authSchema,
  dcsSchema,
  dssSchema,
  dwsSchema,
  failedEventsSchema,
  logSchema,
  verificationSchema,
} from './service-sections.ts';
import { webhooksSchema } from './webhooks-section.ts';
import { type HostPort } from './options.ts';
import { type DeepReadonly } from './deep-readonly.ts';
import { SINK_SCHEMAS, type SinkConfigs, type SinkName } from './sinks/registry.ts';

/** The file as people write it, references to secrets already resolved. */
export const configSchema = z.strictObject({
  sources: sourcesSchema,
  ...SINK_SCHEMAS,
  redis: redisSchema,
  state: stateSchema,
  dss: dssSchema.prefault({}),
  dcs: dcsSchema.prefault({}),
  dws: dwsSchema.prefault({}),
  verification: verificationSchema.prefault({}),
  failedEvents: failedEventsSchema.prefault({}),
  auth: authSchema.prefault({}),
  audit: auditSchema.prefault({}),
  webhooks: webhooksSchema,
  log: logSchema.prefault({}),
});

type ParsedSource = DeepReadonly<z.output<typeof sourceSchema>>;
type ParsedDcs = DeepReadonly<z.output<typeof dcsSchema>>;
export type ParsedConfig = z.output<typeof configSchema>;

/** Of a server of this process. */
export type ServerTlsConfig = NonNullable<ParsedDcs['rpc']['tls']>;
export type HttpListenerConfig = DeepReadonly<z.output<typeof dssSchema>>['http'];
export type SourceEndpointConfig = ParsedSource['endpoints'][number];
export type SourceConfig = Omit<ParsedSource, 'serverId' | 'sinks'> & {
  readonly name: string;
  readonly serverId: number;
  readonly sinks: readonly SinkName[];
};
export type RedisConfig = DeepReadonly<z.output<typeof redisSchema>>;
export type StateConfig = DeepReadonly<z.output<typeof stateSchema>>;
export type DssConfig = DeepReadonly<z.output<typeof dssSchema>>;
export type DcsConfig = Omit<ParsedDcs, 'endpoints'> & { readonly endpoints: readonly HostPort[] };
export type DwsConfig = DeepReadonly<z.output<typeof dwsSchema>>;
export type VerificationConfig = DeepReadonly<z.output<typeof verificationSchema>>;
export type FailedEventsConfig = DeepReadonly<z.output<typeof failedEventsSchema>>;
export type AuditConfig = DeepReadonly<z.output<typeof auditSchema>>;
export type WebhookConfig = DeepReadonly<z.output<typeof webhooksSchema>>[number];
export type AuthConfig = DeepReadonly<z.output<typeof authSchema>>;
export type LogConfig = DeepReadonly<z.output<typeof logSchema>>;

/** What the services work with: complete, checked, frozen. A sink that is not configured is null. */
export interface DittoConfig extends SinkConfigs {
  readonly sources: Readonly<Record<string, SourceConfig>>;
  readonly redis: RedisConfig;
  readonly state: StateConfig;
  readonly dss: DssConfig;
  readonly dcs: DcsConfig;
  readonly dws: DwsConfig;
  readonly verification: VerificationConfig;
  readonly failedEvents: FailedEventsConfig;
  readonly auth: AuthConfig;
  readonly audit: AuditConfig;
  readonly webhooks: readonly WebhookConfig[];
  readonly log: LogConfig;
}

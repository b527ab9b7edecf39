import { z } from 'zod';
import {
  kafkaSchema,
  mongoSchema,
  redisSchema,
  type sourceSchema,
  sourcesSchema,
  stateSchema,
  type tlsSchema,
} from './server-sections.ts';
import { authSchema, dcsSchema, dssSchema, dwsSchema, logSchema } from './service-sections.ts';
import { type HostPort } from './options.ts';
import { type ConfiguredText } from './secret.ts';

/** The file as people write it, references to secrets already resolved. */
export const configSchema = z.strictObject({
  sources: sourcesSchema,
  kafka: kafkaSchema.optional(),
  mongo: mongoSchema.optional(),
  redis: redisSchema,
  state: stateSchema,
  dss: dssSchema.prefault({}),
  dcs: dcsSchema.prefault({}),
  dws: dwsSchema.prefault({}),
  auth: authSchema.prefault({}),
  log: logSchema.prefault({}),
});

type DeepReadonly<T> = T extends ConfiguredText
  ? T
  : T extends readonly (infer Item)[]
    ? readonly DeepReadonly<Item>[]
    : T extends object
      ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
      : T;

type ParsedSource = DeepReadonly<z.output<typeof sourceSchema>>;
type ParsedDcs = DeepReadonly<z.output<typeof dcsSchema>>;
export type ParsedConfig = z.output<typeof configSchema>;

/** Of a server of this process. */
export type ServerTlsConfig = NonNullable<ParsedDcs['rpc']['tls']>;
export type HttpListenerConfig = DeepReadonly<z.output<typeof dssSchema>>['http'];
export type TlsConfig = DeepReadonly<z.output<typeof tlsSchema>>;
export type SourceEndpointConfig = ParsedSource['endpoints'][number];
export type SourceConfig = Omit<ParsedSource, 'serverId' | 'sinks'> & {
  readonly name: string;
  readonly serverId: number;
  readonly sinks: readonly ('kafka' | 'mongo')[];
};
export type KafkaConfig = DeepReadonly<z.output<typeof kafkaSchema>>;
export type MongoConfig = DeepReadonly<z.output<typeof mongoSchema>>;
export type RedisConfig = DeepReadonly<z.output<typeof redisSchema>>;
export type StateConfig = DeepReadonly<z.output<typeof stateSchema>>;
export type DssConfig = DeepReadonly<z.output<typeof dssSchema>>;
export type DcsConfig = Omit<ParsedDcs, 'endpoints'> & { readonly endpoints: readonly HostPort[] };
export type DwsConfig = DeepReadonly<z.output<typeof dwsSchema>>;
export type AuthConfig = DeepReadonly<z.output<typeof authSchema>>;
export type LogConfig = DeepReadonly<z.output<typeof logSchema>>;

/** What the services work with: complete, checked, frozen. A sink that is not configured is null. */
export interface DittoConfig {
  readonly sources: Readonly<Record<string, SourceConfig>>;
  readonly kafka: KafkaConfig | null;
  readonly mongo: MongoConfig | null;
  readonly redis: RedisConfig;
  readonly state: StateConfig;
  readonly dss: DssConfig;
  readonly dcs: DcsConfig;
  readonly dws: DwsConfig;
  readonly auth: AuthConfig;
  readonly log: LogConfig;
}

export { requireSection, toDcsOptions, toMySqlOptions, toRedisOptions, toStateOptions } from './adapter-options.ts';
export { chooseEndpoint, type ChosenEndpoints, formatEndpoint } from './choose-endpoint.ts';
export { renderConfigurationPage } from './configuration-page.ts';
export { isLoopback } from './find-contradictions.ts';
export { findViolations } from './find-violations.ts';
export { configJsonSchema } from './json-schema.ts';
export { listenerOverrides } from './listener-overrides.ts';
export { toAdvertisedAddress, toAdvertisedUrl, toListenerUrl } from './listeners.ts';
export {
  loadConfig,
  parseConfig,
  type LoadConfigOptions,
  type ParseConfigOptions,
  type ReportedProblem,
} from './load-config.ts';
export { readOptionFacts } from './option-facts.ts';
export { type HostPort } from './options.ts';
export { formatPath } from './problem.ts';
export { verifiesRecentChanges } from './recent-verification.ts';
export {
  configSchema,
  type AuthConfig,
  type DcsConfig,
  type DittoConfig,
  type DssConfig,
  type DwsConfig,
  type HttpListenerConfig,
  type LogConfig,
  type RedisConfig,
  type ServerTlsConfig,
  type SourceConfig,
  type SourceEndpointConfig,
  type StateConfig,
  type VerificationConfig,
  type WebhookConfig,
} from './schema.ts';
export { Secret } from './secret.ts';
export { type KafkaConfig, toKafkaOptions, toTransactionalId } from './sinks/kafka-section.ts';
export { type MongoConfig, toMongoOptions } from './sinks/mongo-section.ts';
export { SINK_NAMES, type SinkName } from './sinks/registry.ts';
export { ROLES, type Role } from './service-sections.ts';
export { NOTICE_EVENTS, type NoticeEvent } from './webhooks-section.ts';
export { type TlsConfig } from './tls-section.ts';
export { toServerTlsOptions, toTlsOptions } from './tls-options.ts';

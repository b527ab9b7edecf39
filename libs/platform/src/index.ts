export { Public, PublicOnLoopback, Roles } from './auth/access.ts';
export { Actor, actorOf, type RequestActor } from './auth/actor.ts';
export { AuditLog, type AuditEntry } from './auth/audit-log.ts';
export { RpcData, sealRpc, type RpcEnvelope } from './auth/rpc-envelope.ts';
export { findRpcToken, TokenRegistry } from './auth/token-registry.ts';
export {
  configJsonSchema,
  isLoopback,
  listenerOverrides,
  loadConfig,
  parseConfig,
  requireSection,
  Secret,
  toDcsOptions,
  toKafkaOptions,
  toListenerUrl,
  toMongoOptions,
  toMySqlOptions,
  toRedisOptions,
  toStateOptions,
  toTlsOptions,
  type AuthConfig,
  type DcsConfig,
  type DittoConfig,
  type DssConfig,
  type DwsConfig,
  type HostPort,
  type HttpListenerConfig,
  type KafkaConfig,
  type LoadConfigOptions,
  type LogConfig,
  type MongoConfig,
  type ParseConfigOptions,
  type RedisConfig,
  type ReportedProblem,
  type Role,
  type ServerTlsConfig,
  type SourceConfig,
  type SourceEndpointConfig,
  type StateConfig,
  type TlsConfig,
} from './config/index.ts';
export { ReadinessIndicator } from './health/readiness-indicator.ts';
export { assertKnownSource } from './http/known-source.ts';
export { type Problem } from './http/problem.filter.ts';
export { RequestError, type RequestErrorStatus } from './http/request-error.ts';
export { SchemaPipe } from './http/schema.pipe.ts';
export { configureLogging, createLogger, type LoggingOptions } from './logging/root-logger.ts';
export { createMetrics, LATENCY_BUCKETS, Metrics } from './metrics/metrics.ts';
export { bootstrapService, type BootstrapOptions } from './service/bootstrap-service.ts';
export { configureService, createService, createServiceModule, type ServiceOptions } from './service/create-service.ts';
export { CONFIG, InjectConfig, type ServiceName } from './service/platform.module.ts';
export { readPackageVersion } from './service/package-version.ts';
export { Shutdown } from './service/shutdown.ts';

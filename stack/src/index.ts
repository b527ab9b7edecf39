export { findCacheFolder } from './native/cache.ts';
export { findFreePorts } from './free-ports.ts';
export { URL_VARIABLES } from './given-stack.ts';
export { defaultServers, type KafkaBrokerCount, type MemberName, type ServerName } from './server-name.ts';
export { type DownOptions, type Durability, type Endpoint, Stack, type StackOptions } from './stack.ts';
export { attachStack, KIND_VARIABLE, startStack } from './start-stack.ts';

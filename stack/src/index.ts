export { findCacheFolder } from './native/cache.ts';
export { findFreePorts } from './free-ports.ts';
export { urlVariables } from './given-stack.ts';
export { defaultServers, type KafkaBrokerCount, type MemberName, type ServerName } from './server-name.ts';
export { type DownOptions, type Durability, type Endpoint, Stack, type StackOptions } from './stack.ts';
export { attachStack, kindVariable, startStack } from './start-stack.ts';

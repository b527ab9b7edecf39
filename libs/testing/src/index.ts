export { testStack, TEST_STACK_VARIABLE, uniqueName } from './servers.ts';
export { makeInspection } from './endpoint-inspection.ts';
export { eventually } from './eventually.ts';
export { acceptChanges } from './accept-changes.ts';
export { CHANGE_SINK_CONTRACT, type SinkUnderContract } from './change-sink-contract.ts';
export { MEMORY_REFUSED, MemorySink } from './memory-sink.ts';
export { openSink } from './open-sink.ts';
export { type ByteCounts, type Direction, FaultProxy, type Silence } from './fault-proxy.ts';
export {
  type Identity,
  makeTestCertificates,
  TestAuthority,
  type TestCertificates,
  writeIdentity,
  writeTestCertificates,
} from './certificates.ts';
export { MySqlCertificates } from './mysql-certificates.ts';
export { MySqlImpostor } from './mysql-impostor.ts';
export { encodeMongoReply } from './mongo-reply.ts';
export { OwnServer } from './own-server.ts';
export { STATE_CHANGE_CODES, type StateChange, SteppingDownProxy, type Trouble } from './stepping-down-proxy.ts';
export { TlsRedis } from './tls-redis.ts';
export { ValidatingProxy } from './validating-proxy.ts';

export { DcsCheckpointStore } from './dcs-checkpoint-store.ts';
export { DcsClient, type DcsClientOptions, type LeaseAnswer, type LeaseRequest } from './dcs-client.ts';
export {
  type DcsAnswer,
  type DcsCall,
  dcsContract,
  type DcsRequest,
  type LeaseHolder,
  type RecentChange,
  type ServerHeartbeat,
  type ServiceStatus,
} from './dcs-contract.ts';
export { createInstanceName, ServiceReporter, type ServiceReporterOptions } from './service-reporter.ts';

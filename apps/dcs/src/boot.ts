import { bootstrapService } from '#platform';
import { dcsService } from './service.ts';

await bootstrapService({ ...dcsService, rpc: true });

import { bootstrapService } from '#platform';
import { dssService } from './service.ts';

await bootstrapService(dssService);

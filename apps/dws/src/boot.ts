import { bootstrapService } from '#platform';
import { dwsService } from './service.ts';

await bootstrapService(dwsService);

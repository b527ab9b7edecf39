import { Module } from '@nestjs/common';
import { ConnectionsModule } from './connections/connections.module.ts';
import { ReadsController } from './http/reads.controller.ts';
import { SourcesController } from './http/sources.controller.ts';
import { SourceMetrics } from './metrics/source-metrics.ts';
import { SourceOpener } from './opening/source-opener.ts';
import { SourceRegistry } from './sources/source-registry.ts';

/** The composition root of DSS. */
@Module({
  imports: [ConnectionsModule],
  providers: [SourceMetrics, SourceOpener, SourceRegistry],
  controllers: [SourcesController, ReadsController],
})
export class AppModule {}

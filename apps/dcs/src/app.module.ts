import { Module } from '@nestjs/common';
import { ConnectionsModule } from './connections/connections.module.ts';
import { EventsModule } from './events/events.module.ts';
import { EventsController } from './http/events.controller.ts';
import { LeasesController } from './http/leases.controller.ts';
import { OffsetsController } from './http/offsets.controller.ts';
import { ServicesController } from './http/services.controller.ts';
import { LeasesModule } from './leases/leases.module.ts';
import { OffsetsModule } from './offsets/offsets.module.ts';
import { ServicesModule } from './services/services.module.ts';

/** The composition root of DCS. */
@Module({
  imports: [ConnectionsModule, OffsetsModule, LeasesModule, ServicesModule, EventsModule],
  controllers: [OffsetsController, LeasesController, ServicesController, EventsController],
})
export class AppModule {}

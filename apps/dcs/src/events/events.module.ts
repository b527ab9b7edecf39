import { Module } from '@nestjs/common';
import { EventFollower } from './event-follower.ts';
import { EventWindow } from './event-window.ts';
import { EventsHandler } from './events.handler.ts';

@Module({
  providers: [EventFollower, EventWindow],
  controllers: [EventsHandler],
  exports: [EventFollower, EventWindow],
})
export class EventsModule {}

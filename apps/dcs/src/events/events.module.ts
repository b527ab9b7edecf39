import { Module } from '@nestjs/common';
import { EventFollower } from './event-follower.ts';
import { EventWindow } from './event-window.ts';

@Module({ providers: [EventFollower, EventWindow], exports: [EventFollower, EventWindow] })
export class EventsModule {}

import { lookOnlyForWaitingRequests } from '../src/kafkajs-request-queue.ts';

// tests use kafkajs also without Ditto's own client; as it is, each idle connection of it makes Node warn
lookOnlyForWaitingRequests();

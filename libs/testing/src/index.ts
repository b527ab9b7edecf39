export { testStack, testStackVariable, uniqueName } from './servers.ts';

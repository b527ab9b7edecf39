/** @type {import('jest').Config} */
const swc = {
  jsc: {
    target: 'es2024',
    parser: { syntax: 'typescript', decorators: true },
    transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
    keepClassNames: true,
  },
  module: { type: 'es6' },
  sourceMaps: 'inline',
  swcrc: false,
};
/** With servers, kafkajs is used by tests themselves too. */
const KAFKAJS_SETUP = '<rootDir>/libs/kafka/test/kafkajs-setup.ts';
/** Takes an hour: no part of npm test. */
const LONG_ONLY = process.env.DITTO_TEST_LONG === '1' ? ['<rootDir>/test/chaos/**/*.test.ts'] : [];
const common = {
  testEnvironment: 'node',
  testEnvironmentOptions: { customExportConditions: ['source', 'node', 'node-addons'] },
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest', swc] },
  setupFiles: ['reflect-metadata'],
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.cache/'],
};
// unit: specs beside the source, no server; integration: test/ folders, the shared stack; system: processes and faults; images: containers
export default {
  projects: [
    {
      ...common,
      displayName: 'unit',
      testMatch: ['<rootDir>/{apps,libs,stack,bench,demo,test,tools}/**/*.spec.ts'],
      setupFiles: [...common.setupFiles, '<rootDir>/test/property-sizes.ts'],
    },
    {
      ...common,
      displayName: 'integration',
      testMatch: [
        '<rootDir>/{apps,libs,stack}/*/test/**/*.test.ts',
        '<rootDir>/stack/test/**/*.test.ts',
        '<rootDir>/test/oracle/**/*.test.ts',
      ],
      setupFiles: [...common.setupFiles, KAFKAJS_SETUP],
    },
    {
      ...common,
      displayName: 'system',
      testMatch: ['<rootDir>/test/system/**/*.test.ts', ...LONG_ONLY],
      setupFiles: [...common.setupFiles, KAFKAJS_SETUP],
    },
    { ...common, displayName: 'images', testMatch: ['<rootDir>/test/images/**/*.test.ts'] },
  ],
  // a test that hangs is seen all the same, and none fails because the machine is busy
  testTimeout: 20_000,
  workerIdleMemoryLimit: '500MB',
};

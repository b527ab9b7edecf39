import eslint from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';
import prettier from 'eslint-config-prettier';
import globals from 'globals';

// Run directly by Node, which strips types only: nothing that needs a compiler.
const erasable = {
  files: ['{libs,stack,demo,bench,test,tools}/**/*.ts'],
  ignores: ['libs/{dcs-client,platform,state}/**'],
};

const dialect = [
  {
    selector: '[accessibility="private"]:not(MethodDefinition[kind="constructor"])',
    message: 'Write #name: private to the program as well.',
  },
  {
    selector:
      ':matches(Program, ExportNamedDeclaration) > VariableDeclaration[kind="const"] > VariableDeclarator[init.type=/^(Literal|UnaryExpression)$/][id.name=/^[a-z]/]',
    message: 'A fixed value of a module is written in UPPER_CASE.',
  },
];

export default defineConfig(
  globalIgnores(['dist/', '.cache/', 'coverage/']),
  eslint.configs.recommended,
  { files: ['**/*.{js,mjs,cjs}'], languageOptions: { globals: globals.node } },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-extraneous-class': ['error', { allowWithDecorator: true }],
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      // Its `x!` is what no-non-null-assertion forbids; `x as number` after a checked index says what is expected.
      '@typescript-eslint/non-nullable-type-assertion-style': 'off',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      // A `default` does not count: a new member of a union is named wherever something depends on which member it is.
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      'no-restricted-syntax': ['error', ...dialect],
      'no-restricted-imports': [
        'error',
        { patterns: [{ group: ['**/libs/*', '../**/dist/*'], message: 'Import a lib by its name, as #kernel.' }] },
      ],
    },
  },
  {
    ...erasable,
    rules: {
      'no-restricted-syntax': [
        'error',
        ...dialect,
        { selector: 'TSParameterProperty', message: 'Node strips types only: declare the field.' },
        { selector: 'TSEnumDeclaration', message: 'Node strips types only: use a union of literals.' },
        { selector: 'Decorator', message: 'Node strips types only: no decorators here.' },
      ],
    },
  },
  { files: ['**/*.spec.ts', '**/test/**/*.ts'], rules: { '@typescript-eslint/unbound-method': 'off' } },
  prettier,
);

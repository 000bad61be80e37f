/**
 * ESLint: typescript-eslint's strictest typed rules, less the few that would only breed noise here (each with its reason),
 * plus the house rules of a code base that handles untrusted octets.
 */
import eslint from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** Rooms where a bound was just checked, so that `array[i]!` says "known to be there" (util: bit sets and queues). */
const CHECKED_INDEX_ROOMS = ['util', 'wire', 'bgp/nlri', 'bgp/attribute', 'bgp/message', 'rib', 'vpn'];

const NODE_GLOBALS = {
  AbortController: 'readonly',
  AbortSignal: 'readonly',
  Buffer: 'readonly',
  URL: 'readonly',
  clearInterval: 'readonly',
  clearTimeout: 'readonly',
  console: 'readonly',
  fetch: 'readonly',
  performance: 'readonly',
  process: 'readonly',
  setInterval: 'readonly',
  setTimeout: 'readonly',
};

export default defineConfig(
  globalIgnores(['dist/', 'coverage/', 'node_modules/', 'fixtures/', '.test-results/']),
  eslint.configs.recommended,
  {
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    languageOptions: { ecmaVersion: 2024, sourceType: 'module' },
    rules: {
      eqeqeq: 'error',
      curly: ['error', 'multi-line'],
      'prefer-const': 'error',
      'no-var': 'error',
      'object-shorthand': 'error',
      'no-implicit-coercion': ['error', { boolean: false }],
      'no-promise-executor-return': 'error',
      'no-template-curly-in-string': 'error',
      'no-self-compare': 'error',
      'default-case-last': 'error',
    },
  },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'separate-type-imports' }],
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/prefer-readonly': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      // Both spellings read well where they are used.
      '@typescript-eslint/array-type': 'off',

      // Numbers, booleans in messages are wanted: `AS ${peerAs}`.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      // Decoders poll with `for (;;)` / `while (true)`; the rule's other findings stay.
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: 'always' }],
      // `() => socket.destroy()` and `return this.#fail(reason)` are clear; splitting each into two lines is not clearer.
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      // An indexed loop over a typed array is the fast form, and often needs its index in a second column.
      '@typescript-eslint/prefer-for-of': 'off',
      // An interface may require a method that one implementation has nothing to do in.
      '@typescript-eslint/no-empty-function': ['error', { allow: ['methods', 'asyncMethods', 'arrowFunctions'] }],
      // `async` methods that fulfil an interface need not await.
      '@typescript-eslint/require-await': 'off',
      // A RouteId handle and a plain number sort alike; bit tricks on numbers are what a codec does.
      'no-bitwise': 'off',
      // Control characters are exactly what an XML or shutdown-message sanitiser must match.
      'no-control-regex': 'off',
    },
  },
  {
    files: CHECKED_INDEX_ROOMS.map((room) => `src/${room}/**/*.ts`),
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/non-nullable-type-assertion-style': 'off',
    },
  },
  {
    files: ['src/**/*.ts'],
    // Output goes through the logger or, in the CLI, through its writer.
    rules: { 'no-console': 'error' },
  },
  {
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      // A test that indexes what it has just built fails loudly enough when it is not there.
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/non-nullable-type-assertion-style': 'off',
      'no-restricted-syntax': [
        'error',
        {
          selector: 'CallExpression[callee.property.name="toMatchObject"] Property > Literal[regex]',
          message: 'Jest compares a RegExp by its properties: it matches everything. Use expect.stringMatching().',
        },
      ],
    },
  },
  {
    files: ['**/*.{js,mjs,cjs}'],
    languageOptions: { globals: NODE_GLOBALS },
  },
  {
    files: ['**/*.cjs'],
    languageOptions: { sourceType: 'commonjs', globals: { module: 'writable', require: 'readonly' } },
  },
);

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { checkAnswer, confirmAnswer, reloadAnswer } from '../../src/api/answers.js';
import { ApiServer } from '../../src/api/server.js';
import { silentLogger } from '../../src/util/logger.js';
import { FakeView } from './fake-view.js';

let view: FakeView;
let api: ApiServer;
let token: string | undefined;

beforeEach(async () => {
  view = new FakeView();
  token = undefined;
  api = await ApiServer.create({ view, logger: silentLogger, token: () => token });
});
afterEach(() => api.close());

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

async function post(url: string, body?: string, contentType = 'application/yaml'): Promise<Answer> {
  const headers = body === undefined ? {} : { 'content-type': contentType };
  const response = await api.inject({ method: 'POST', url, headers, ...(body === undefined ? {} : { body }) });
  return { status: response.statusCode, body: response.json() };
}

describe('POST /api/v1/config/reload on trial', () => {
  test('E08 hands the time on and says it', async () => {
    view.reloadResult = { applied: true, changes: [], confirmWithinSeconds: 60 };
    const { status, body } = await post('/api/v1/config/reload?confirmSeconds=60');
    expect({ status, options: view.reloadOptions }).toEqual({ status: 200, options: { confirmSeconds: 60 } });
    expect(reloadAnswer.parse(body)).toEqual(body);
  });

  test.each(['0x10', '1e1', '', '0', '-1', '1.5', 'x', '', '86401'])(
    'E08 confirmSeconds=%s is refused, nothing is applied',
    async (text) => {
      const { status, body } = await post(`/api/v1/config/reload?confirmSeconds=${text}`);
      expect({ status, body, reloads: view.reloads }).toMatchObject({
        status: 400,
        body: { error: { code: 'invalid-request' } },
        reloads: 0,
      });
    },
  );

  test('E08 a confirmation needs a configuration on trial', async () => {
    expect(await post('/api/v1/config/confirm')).toMatchObject({
      status: 409,
      body: { error: { code: 'nothing-to-confirm' } },
    });
    view.onTrial = true;
    const { status, body } = await post('/api/v1/config/confirm');
    expect({ status, body: confirmAnswer.parse(body) }).toEqual({ status: 200, body });
  });
});

describe('POST /api/v1/config/check', () => {
  test('hands the text on as it is and answers as documented', async () => {
    view.checkResult = {
      valid: true,
      changes: [{ effect: 'soft', text: 'VRF red added' }],
      restartNeeded: [{ file: 'a.yaml', line: 1, column: 1, path: 'name', message: 'cannot change' }],
      leaks: [{ from: 'red', to: 'blue', target: 'target:64512:1', routes: 3 }],
    };
    const { status, body } = await post('/api/v1/config/check?file=a.yaml', 'name: é\n');
    expect(status).toBe(200);
    expect(checkAnswer.parse(body)).toEqual(body);
    expect(view.checked).toEqual([['name: é\n', 'a.yaml']]);
  });

  test('an invalid configuration is 422 with its problems', async () => {
    const problems = [{ file: 'configuration', line: 1, column: 1, path: 'x', message: 'unknown field' }];
    view.checkResult = { valid: false, problems };
    expect(await post('/api/v1/config/check', 'x: 1')).toEqual({ status: 422, body: { problems } });
  });

  test.each([
    ['no body', undefined, 'application/yaml', 415],
    ['a JSON body', '{}', 'application/json', 415],
    ['another type', 'x', 'text/html', 415],
    ['more than 16 MiB', 'x'.repeat(16 * 1024 * 1024 + 1), 'application/yaml', 413],
  ])('E09 %s is refused', async (_what, body, type, status) => {
    expect((await post('/api/v1/config/check', body, type)).status).toBe(status);
    expect(view.checked).toEqual([]);
  });

  test('E09 a text that is too large is told the limit of this request', async () => {
    expect(await post('/api/v1/config/check', 'x'.repeat(16 * 1024 * 1024 + 1))).toEqual({
      status: 413,
      body: { error: { code: 'request-too-large', message: 'a request body has at most 16777216 octets' } },
    });
    // One that has no limit of its own.
    expect(await post('/api/v1/config/reload', 'x'.repeat(16 * 1024 + 1))).toEqual({
      status: 413,
      body: { error: { code: 'request-too-large', message: 'a request body has at most 16384 octets' } },
    });
  });

  test('a file name with control characters is refused', async () => {
    expect((await post('/api/v1/config/check?file=a%0Ab', 'x: 1')).status).toBe(400);
  });

  test('another request takes no YAML', async () => {
    const { status } = await post('/api/v1/neighbors/192.0.2.1/reset', 'mode: hard');
    expect({ status, resets: view.resets }).toEqual({ status: 400, resets: [] });
  });

  test('E11 with a token set, neither check nor confirm nor reload goes without it', async () => {
    token = 'secret';
    view.onTrial = true;
    for (const url of ['check', 'confirm', 'reload']) {
      expect((await post(`/api/v1/config/${url}`, 'x: 1')).status).toBe(401);
    }
    expect({ checked: view.checked, reloads: view.reloads }).toEqual({ checked: [], reloads: 0 });
  });
});

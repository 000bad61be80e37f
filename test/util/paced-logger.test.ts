import { describe, expect, test } from '@jest/globals';
import { ManualClock } from '../../src/util/clock.js';
import type { Logger } from '../../src/util/logger.js';
import { PacedLogger } from '../../src/util/paced-logger.js';

function paced(): { readonly clock: ManualClock; readonly logger: Logger; readonly written: object[] } {
  const clock = new ManualClock();
  const written: object[] = [];
  const recorder = (context: object): Logger => {
    const write =
      (level: string) =>
      (fields: object): void =>
        void written.push({ level, ...context, ...fields });
    return {
      debug: write('debug'),
      info: write('info'),
      warn: write('warn'),
      error: write('error'),
      child: (fields) => recorder({ ...context, ...fields }),
    };
  };
  return { clock, logger: PacedLogger.of(recorder({}), clock), written };
}

describe('records that strangers bring about', () => {
  test('are written in a burst, and of a flood some each second, which say how many were not', () => {
    const { clock, logger, written } = paced();
    for (let n = 0; n < 30_000; n++) logger.info({ n }, 'session');
    expect(written).toHaveLength(20_000);
    clock.advance(1000);
    for (let n = 0; n < 1000; n++) logger.info({ n }, 'session');
    expect(written).toHaveLength(20_050);
    expect(written[20_000]).toEqual({ level: 'info', n: 0, notLogged: 10_000 });
    expect(written[20_001]).toEqual({ level: 'info', n: 1 });
    clock.advance(3_600_000);
    for (let n = 0; n < 30_000; n++) logger.info({ n }, 'session');
    expect(written).toHaveLength(40_050);
  });

  test('share what is allowed with children, each level for itself; errors are never held back', () => {
    const { logger, written } = paced();
    for (let n = 0; n < 20_000; n++) logger.child({ agent: `a${n}` }).info({}, 'session');
    logger.child({ agent: 'late' }).info({}, 'session');
    expect(written).toHaveLength(20_000);
    logger.child({ agent: 'late' }).warn({}, 'session');
    for (let n = 0; n < 30_000; n++) logger.error({ n }, 'bug');
    expect(written).toHaveLength(50_001);
    expect(written[20_000]).toEqual({ level: 'warn', agent: 'late' });
  });
});

/**
 * `filament run`: one controller with its HTTP API, from start to orderly end.
 *
 *   SIGTERM           Cease/administrative shutdown to neighbors, agents closed, exit 0; a second one ends at once. Neighbors with
 *                     which graceful restart of NOTIFICATIONs is agreed keep our routes for the restart time (RFC 8538)
 *   SIGINT            the same for good: such neighbors are told to drop them (Hard Reset)
 *   SIGHUP            the configuration file is read again
 */
import { dirname } from 'node:path';
import { ApiListenError, ApiServer } from '../api/server.js';
import { isExposedSecret, readConfigText, unreadableFiles, type ConfigFile } from '../config/config-file.js';
import { FileWatch } from '../config/file-watch.js';
import type { LogLevel } from '../config/schema.js';
import type { ResolvedConfig } from '../config/resolved.js';
import type { ControllerDependencies, ControllerView, ReloadResult } from '../controller/view.js';
import { ListenError } from '../net/errors.js';
import { systemClock } from '../util/clock.js';
import type { Logger } from '../util/logger.js';
import { CliError, ExitCode } from './cli-error.js';
import { reloadConfig } from './configuration.js';
import { PrivilegeDrop } from './privileges.js';
import { EndSignal } from './end-signal.js';
import { collectAsUsual, tuneEngine, warmUp } from './engine.js';
import type { AdjustableLogger } from './logging.js';
import { ReloadTrigger } from './reload-trigger.js';
import { UnhandledRejections } from './unhandled-rejections.js';

/** The controller as this command drives it. */
export interface RunningController {
  readonly view: ControllerView;
  start(): Promise<void>;
  /** @param forGood  neighbors are not to wait for a next start */
  stop(forGood?: boolean): Promise<void>;
}

/** Compiles the way of a route before the first neighbor comes; what it says of itself is for the log. */
export type Rehearsal = (config: ResolvedConfig) => Promise<object>;

export type ControllerFactory = (config: ResolvedConfig, dependencies: ControllerDependencies) => RunningController;

export interface RunOptions {
  readonly config: ResolvedConfig;
  /** The file that `config` came from, to be read again at SIGHUP; absent for the built-in default. */
  readonly file?: ConfigFile;
  /** Given on the command line: wins over the configuration, also after a reload. */
  readonly logLevel?: LogLevel;
  readonly rejections?: UnhandledRejections;
  /** A configuration is in force, at the start or after a reload. */
  readonly applied?: (config: ResolvedConfig) => void;
}

/** How long an orderly end may take before the process ends anyway. */
const STOP_TIMEOUT_MS = 10_000;
/** Then for what is still to be said. */
const LAST_WORDS_MS = 1000;

/** A controller and its HTTP API, started and stopped together. */
export class ControllerService {
  readonly #controller: RunningController;
  readonly #api: ApiServer;

  private constructor(controller: RunningController, api: ApiServer) {
    this.#controller = controller;
    this.#api = api;
  }

  /**
   * Starts both, or neither.
   *
   * @throws CliError (rejects) with the option to change when an address is taken
   */
  static async start(
    options: RunOptions,
    create: ControllerFactory,
    logging: AdjustableLogger,
  ): Promise<ControllerService> {
    const { logger } = logging;
    const { file, config } = options;
    const privileges = PrivilegeDrop.begin(config);
    let { token } = options.config.api;
    let controller: RunningController | undefined;
    let api: ApiServer | undefined;
    try {
      controller = create(options.config, {
        logger,
        clock: systemClock,
        ...(file === undefined ? {} : { reloadSource: (running) => reloadConfig(file, running) }),
        checkSource: (text, name, running) =>
          readConfigText(text, { file: name, directory: dirname(file?.path ?? '.'), running }),
        configApplied(config) {
          ({ token } = config.api);
          logging.setLevel(options.logLevel ?? config.log.level);
          options.applied?.(config);
        },
      });
      api = await ApiServer.create({
        view: controller.view,
        logger: logger.child({ room: 'api' }),
        token: () => token,
        processFaults: () => ({
          'log-record-dropped': logging.log?.dropped ?? 0,
          'unhandled-rejection': options.rejections?.count ?? 0,
        }),
      });
      await controller.start();
      const listening = await api.listen(options.config.api.listen);
      for (const { address, port } of listening) logger.info({ listen: 'api', address, port }, 'listening');
      if (privileges !== undefined) {
        privileges.finish();
        const { user, group } = privileges;
        logger.info({ user, group }, 'privileges dropped');
        for (const name of file === undefined ? [] : unreadableFiles(file, config)) {
          logger.warn({ file: name, user }, 'a reload will not be able to read the file');
        }
      }
      return new ControllerService(controller, api);
    } catch (error) {
      await api?.close();
      await controller?.stop();
      throw startError(error);
    }
  }

  get view(): ControllerView {
    return this.#controller.view;
  }

  reload(): Promise<ReloadResult> {
    return this.#controller.view.reload();
  }

  async stop(forGood = true): Promise<void> {
    await this.#api.close();
    await this.#controller.stop(forGood);
  }
}

/** One line that names the option to change, for what an operator can change. */
function startError(error: unknown): unknown {
  if (error instanceof ApiListenError) {
    const { address, port } = error.listen;
    return new CliError(
      new ListenError(address, port, 'api.listen', error.cause as Error).message,
      ExitCode.failed,
      error,
    );
  }
  const code = (error as { readonly code?: unknown } | null)?.code;
  if (error instanceof Error && (code === 'ERR_LISTEN' || code === 'ERR_TLS_MATERIAL')) {
    return new CliError(error.message, ExitCode.failed, error);
  }
  return error;
}

/** Runs until a signal ends it. */
export async function runController(
  options: RunOptions,
  create: ControllerFactory,
  rehearse: Rehearsal,
  logging: AdjustableLogger,
): Promise<ExitCode> {
  tuneEngine();
  const { logger } = logging;
  const rejections = new UnhandledRejections(logger);
  // Signals are taken from the start: one that comes early counts once the controller runs.
  const end = new EndSignal();
  try {
    if (options.config.process.rehearsal) {
      logger.debug({ sent: await warmUp(() => rehearse(options.config)) }, 'rehearsed');
    }
  } catch (error) {
    // A controller runs without it, only slower at first.
    logger.warn({ error: String(error) }, 'rehearsal failed');
  }
  const watch = options.file && new FileWatch(options.file.path, systemClock, () => reloads.request());
  const applied = (config: ResolvedConfig): void => {
    watch?.set(config.reload.watch);
    if (options.file && isExposedSecret(options.file, config)) {
      logger.warn(
        { file: options.file.path, allowed: 'a mode without access for others, such as 640' },
        'secrets can be read by everybody',
      );
    }
  };
  const starting = ControllerService.start({ ...options, rejections, applied }, create, logging);
  // One that comes during the start is heard when it is over.
  const reloads = new ReloadTrigger(systemClock, async () => {
    await starting.then(
      (service) => reloadAndLog(service, logger),
      () => undefined,
    );
  });
  const onHangUp = (): void => reloads.request();
  process.on('SIGHUP', onHangUp);
  let exitCode: ExitCode = ExitCode.failed;
  try {
    const service = await starting;
    collectAsUsual();
    applied(options.config);
    const signal = await end.received;
    logger.info({ signal }, 'stopping');
    const isStopped = await stopInTime(service, signal === 'SIGINT');
    if (!isStopped) {
      // Whatever could not be stopped would keep the process.
      setTimeout(() => process.exit(exitCode), LAST_WORDS_MS).unref();
      throw new CliError(`the controller did not stop within ${STOP_TIMEOUT_MS / 1000} s`);
    }
    logger.info({ signal }, 'stopped');
    exitCode = ExitCode.done;
    return exitCode;
  } finally {
    process.off('SIGHUP', onHangUp);
    watch?.stop();
    reloads.stop();
    end.ignore();
    rejections.stop();
    // What waits for a reader that does not read would keep the process.
    if ((await logging.log?.flush()) === false) process.exit(exitCode);
  }
}

async function stopInTime(service: ControllerService, forGood: boolean): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), STOP_TIMEOUT_MS);
  });
  try {
    return await Promise.race([service.stop(forGood).then(() => true), timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** One line for what a reload changed, or one for each problem. Never rejects: a mistake of ours in it does not end the process. */
async function reloadAndLog(service: ControllerService, logger: Logger): Promise<void> {
  let result: ReloadResult;
  try {
    result = await service.reload();
  } catch (error) {
    logger.error({ error: String(error) }, 'reload failed');
    return;
  }
  if (result.applied) {
    logger.info({ changes: result.changes }, 'reload');
    return;
  }
  for (const { file, line, column, path, message } of result.problems) {
    logger.error({ file, line, column, path, problem: message }, 'reload refused');
  }
}

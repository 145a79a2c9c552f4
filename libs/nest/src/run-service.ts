import 'reflect-metadata';
import { rename, writeFile } from 'node:fs/promises';
import type { Logger } from '@atoll/logging';
import type { Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { loggerBridge } from './logger-bridge.ts';

export interface ServiceOptions {
  readonly module: Type;
  readonly logger: Logger;
  /** Written (with the pid) once everything has started; default `ATOLL_READY_FILE`. */
  readonly readyFile?: string;
}

/** A drain that takes longer is a hang: the supervisor must be able to start the service again. */
const SHUTDOWN_LIMIT_MS = 15_000;

/**
 * Boots a service and says `ready` in its log. SIGTERM and SIGINT stop it in the order of its lifecycle hooks; a failed start
 * or an error nobody caught ends the process with code 1 and its reason in the log.
 */
export async function runService(options: ServiceOptions): Promise<void> {
  const { logger } = options;
  const die = (message: string) => (error: unknown) => {
    logger.fatal({ err: error }, message);
    logger.flush();
    process.exit(1);
  };
  process.on('uncaughtException', die('an error nobody caught'));
  process.on('unhandledRejection', die('a rejection nobody caught'));
  try {
    const context = await NestFactory.createApplicationContext(options.module, {
      logger: loggerBridge(logger),
      abortOnError: false,
    });
    let stopping = false;
    const stop = (signal: NodeJS.Signals): void => {
      if (stopping) return;
      stopping = true;
      logger.info({ signal }, 'stopping');
      setTimeout(() => die('the stop took too long')(undefined), SHUTDOWN_LIMIT_MS).unref();
      context.close().then(() => process.exit(0), die('the stop failed'));
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
    const readyFile = options.readyFile ?? process.env['ATOLL_READY_FILE'];
    if (readyFile) await announce(readyFile);
    logger.info('ready');
  } catch (error) {
    die('the service cannot start')(error);
  }
}

async function announce(path: string): Promise<void> {
  await writeFile(`${path}.tmp`, `${process.pid}\n`);
  await rename(`${path}.tmp`, path);
}

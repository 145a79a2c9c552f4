/** What the bus tells an operator; a pino logger fits. */
export interface BusLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export const SILENT_LOG: BusLog = { info: () => {}, warn: () => {}, error: () => {} };

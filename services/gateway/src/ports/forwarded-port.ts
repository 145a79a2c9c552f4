/** One published port as this machine serves it. */
export interface ForwardedPort {
  readonly protocol: string;
  /** Address to listen on; empty: all. */
  readonly hostIp: string;
  readonly hostPort: number;
  readonly containerPort: number;
}

export interface Target {
  readonly host: string;
  readonly port: number;
}

/** A listener that hands each connection or datagram to the port's current target. */
export interface PortListener {
  /** Stops listening and cuts what is open. */
  close(): Promise<void>;
}

export function portKey(port: ForwardedPort): string {
  return `${port.protocol} ${port.hostIp} ${port.hostPort} ${port.containerPort}`;
}

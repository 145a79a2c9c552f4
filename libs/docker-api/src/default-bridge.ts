/** A container's record, as far as the default bridge is concerned. */
interface Attachable {
  readonly spec?: { readonly network?: NetworkMode | undefined } | undefined;
  readonly defaultBridge?: (BridgeAttachment & { readonly connected: boolean }) | undefined;
}

interface NetworkMode {
  readonly mode: string;
  readonly networkDisabled: boolean;
  readonly macAddress: string;
}

/** A container's place on the default bridge. */
export interface BridgeAttachment {
  /** Empty: the container has been there from the beginning. */
  readonly endpointId: string;
  /** Inside the container. */
  readonly interfaceName: string;
  /** As asked for; empty: made from the IPv4 address. */
  readonly macAddress: string;
}

/** Undefined for a container that is not on the default bridge: by its mode, or by what came after its creation. */
export function defaultBridgeOf({ spec, defaultBridge }: Attachable): BridgeAttachment | undefined {
  if (defaultBridge) return defaultBridge.connected ? defaultBridge : undefined;
  const network = spec?.network;
  const bridged = ['', 'default', 'bridge'].includes(network?.mode ?? '') && !(network?.networkDisabled ?? false);
  return bridged ? { endpointId: '', interfaceName: 'eth0', macAddress: network?.macAddress ?? '' } : undefined;
}

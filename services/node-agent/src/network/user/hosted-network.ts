import type { networkV1 } from '@atoll/proto';
import type { Membership } from './membership.ts';

/** A network of a user on this host, whatever its links are made of. */
export interface HostedNetwork {
  readonly membership: Membership;
  readonly record: networkV1.NetworkRecord;
  /** What is sent between hosts leaves this one encrypted, or not at all. */
  readonly isEncrypted: boolean;
  /** Of its links; 0: what the interface has that they are on. */
  readonly mtu: number;
  /** Takes over what is told; the kernel follows in the background. The ids of the members that changed. */
  apply(state: networkV1.NetworkState): readonly string[];
  /** Links can be made, and reach the members told before. Throws failed-precondition. */
  ready(): Promise<void>;
  /** Brings what has changed of the members into the kernel; many changes of a moment are one step. */
  follow(): Promise<void>;
  /** Looks after what it has in the kernel: others may have removed some. */
  assert(): Promise<void>;
  /** For good. Safe to repeat. */
  takeDown(): Promise<void>;
}

import { dataLoss } from '@atoll/errors';

/** Who leads. Stored durably at each takeover (`lease.scheduler`), and beaten in the observed bucket while the leader lives. */
export interface Lease {
  /** Id of the replica, as its certificate names it. */
  readonly leaderId: string;
  /** host:port of the leader's gRPC server. */
  readonly address: string;
}

/** A lease as found, with the revision that is the leader's epoch. */
export interface HeldLease extends Lease {
  readonly epoch: bigint;
}

export const LEASE_KEY = 'lease.scheduler';

export function encodeLease(lease: Lease): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ leaderId: lease.leaderId, address: lease.address }));
}

export function decodeLease(bytes: Uint8Array): Lease {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof value === 'object' && value !== null && 'leaderId' in value && 'address' in value) {
      const { leaderId, address } = value;
      if (typeof leaderId === 'string' && typeof address === 'string') return { leaderId, address };
    }
  } catch (cause) {
    throw dataLoss(`the lease ${LEASE_KEY} is not readable`, { cause });
  }
  throw dataLoss(`the lease ${LEASE_KEY} has no leader in it`);
}

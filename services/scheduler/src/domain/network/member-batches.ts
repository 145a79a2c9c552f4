import type { networkV1 } from '@atoll/proto';

/** Of one message, about: far below what gRPC lets through. */
const MESSAGE_BYTES = 1_048_576;
const MEMBER_BYTES = 256;

/** Members in pieces that fit into a message each. At least one piece, which may be empty. */
export function memberBatches(members: readonly networkV1.Member[]): networkV1.Member[][] {
  let last: networkV1.Member[] = [];
  const all = [last];
  let bytes = 0;
  for (const member of members) {
    const { names, serviceName, virtualIpv4, virtualIpv6 } = member;
    const texts = [...names, serviceName, virtualIpv4, virtualIpv6];
    const size = texts.reduce((sum, text) => sum + text.length, MEMBER_BYTES);
    if (bytes + size > MESSAGE_BYTES) {
      last = [];
      all.push(last);
      bytes = 0;
    }
    last.push(member);
    bytes += size;
  }
  return all;
}

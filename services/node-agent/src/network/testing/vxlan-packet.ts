import { type Place, udpFrame } from './attacker.ts';

/** What a VXLAN packet of a network is after its UDP header: a datagram to port 9 of a container (RFC 7348). */
export function vxlanPacket(vni: number, ends: { readonly from: Place; readonly to: Place }, text: string): Buffer {
  const header = Buffer.from([8, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUIntBE(vni, 4, 3);
  return Buffer.concat([header, udpFrame(ends.from, ends.to, 9, text)]);
}

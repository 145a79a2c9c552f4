import { type Macvlan, macvlanOf } from '@atoll/docker-api';
import { failedPrecondition, invalidArgument, unimplemented } from '@atoll/errors';
import type { networkV1, nodeV1 } from '@atoll/proto';
import type { Constraint } from '@atoll/scheduling';
import type { ClusterState } from '../cluster-state.ts';
import type { TermParts } from '../term-parts.ts';

const KIND = 'macvlan';
const MAX_NAMED = 8;

type Facts = Pick<nodeV1.NodeFacts, 'parentLinkKinds' | 'parentInterfaces' | 'hostname'>;

/** Why links of a network cannot be made on a host; undefined when they can. */
export function lackOf(facts: Facts | undefined, { parent }: Macvlan): string | undefined {
  if (!facts?.parentLinkKinds.includes(KIND)) return 'its kernel makes no macvlan links';
  return facts.parentInterfaces.includes(parent)
    ? undefined
    : `it has no interface ${parent} that is up and free for them`;
}

/**
 * At least one host that is up has the interface.
 * @throws unimplemented when no kernel makes such links, invalid-argument naming the option, failed-precondition when no host is up
 */
export function assertParentSomewhere({ state, health }: Pick<TermParts, 'state' | 'health'>, macvlan: Macvlan): void {
  const up = [...state.nodes.values()].filter(({ id }) => health.isReady(id) || health.isAwaited(id));
  const facts = up.flatMap((node) => node.facts ?? []);
  if (facts.some((one) => lackOf(one, macvlan) === undefined)) return;
  if (facts.length === 0) throw failedPrecondition('Options["parent"]: no host is up that could have the interface');
  const able = facts.filter(({ parentLinkKinds }) => parentLinkKinds.includes(KIND));
  if (able.length === 0) {
    throw unimplemented('Driver: macvlan: no host that is up has a kernel with such links (CONFIG_MACVLAN)');
  }
  const { parent } = macvlan;
  const vlan = /.\.\d+$/.test(parent)
    ? `; an interface of a VLAN is not made here: make ${parent} on the hosts first`
    : '';
  const named = able.slice(0, MAX_NAMED).map((one) => `${one.hostname}: ${list(one.parentInterfaces)}`);
  throw invalidArgument(
    `Options["parent"]: no host has an interface ${parent} that is up and free for macvlan links (${named.join('; ')})${vlan}`,
  );
}

/** A container of these networks goes where all their interfaces are. @param references ids or names */
export function parentConstraints(state: ClusterState, references: readonly string[]): Constraint[] {
  return references.flatMap((reference) => {
    const network = state.networks.find(reference);
    const macvlan = network && macvlanOf(network);
    if (!macvlan) return [];
    const matches = ({ id }: { readonly id: string }): boolean =>
      lackOf(state.nodes.get(id)?.facts, macvlan) === undefined;
    return [{ text: `network ${network.name}: macvlan links on interface ${macvlan.parent}`, soft: false, matches }];
  });
}

/** @throws failed-precondition that says what the container's host lacks */
export function assertParentHere(state: ClusterState, network: networkV1.NetworkRecord, nodeId: string): void {
  const macvlan = macvlanOf(network);
  const facts = state.nodes.get(nodeId)?.facts;
  const lack = macvlan && lackOf(facts, macvlan);
  if (lack === undefined) return;
  throw failedPrecondition(
    `the container is on host ${facts?.hostname ?? nodeId}, which cannot have links of network ${network.name}: ${lack}`,
  );
}

/**
 * One network of mode passthru takes an interface as a whole.
 * @throws invalid-argument in docker's words
 */
export function assertParentFree(others: Iterable<networkV1.NetworkRecord>, { parent, mode }: Macvlan): void {
  for (const other of others) {
    const taken = other.configOnly ? undefined : macvlanOf(other);
    if (taken?.parent !== parent) continue;
    if (mode === 'passthru') {
      throw invalidArgument(
        `Options["macvlan_mode"]: cannot use mode passthru, macvlan network ${other.name} is already using parent interface ${parent}`,
      );
    }
    if (taken.mode === 'passthru') {
      throw invalidArgument(
        `Options["parent"]: macvlan network ${other.name} is already using parent interface ${parent} in mode passthru`,
      );
    }
  }
}

function list(names: readonly string[]): string {
  const more = names.length > MAX_NAMED ? ', …' : '';
  return names.length === 0 ? 'none' : `${names.slice(0, MAX_NAMED).join(', ')}${more}`;
}

import { dockerState, statusText } from './container-state.ts';
import type { ContainerView } from './container-view.ts';
import { labelsWithNode } from './inspect-view.ts';
import { mountPoints } from './mounts-view.ts';
import { networkName, networksOf } from './networks-view.ts';
import { portSummaries } from './ports-view.ts';

/** One entry of GET /containers/json. */
export function summaryObject(
  view: ContainerView,
  nowMs: number,
  size: { readonly sizeRw: number; readonly sizeRootFs: number } | undefined,
): Record<string, unknown> {
  const { record, spec } = view;
  const name = networkName(view);
  return {
    Id: record.id,
    Names: [`/${spec.name}`],
    Image: spec.image?.reference ?? '',
    ImageID: spec.image?.imageId ?? '',
    Command: commandText([...(spec.process?.entrypoint ?? []), ...(spec.process?.cmd ?? [])]),
    Created: Number(record.createdAtNs / 1_000_000_000n),
    Ports: portSummaries(view),
    ...(size === undefined ? {} : { SizeRw: size.sizeRw, SizeRootFs: size.sizeRootFs }),
    Labels: labelsWithNode(spec.labels, view.node?.facts?.hostname),
    State: dockerState(view),
    Status: statusText(view, nowMs),
    HostConfig: { NetworkMode: name },
    NetworkSettings: { Networks: networksOf(view) },
    Mounts: mountPoints(view),
  };
}

/** Words with spaces are quoted, as docker shows them. */
function commandText(argv: readonly string[]): string {
  return argv.map((word, at) => (at > 0 && word.includes(' ') ? `'${word}'` : word)).join(' ');
}

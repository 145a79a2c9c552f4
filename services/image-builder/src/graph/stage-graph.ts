import type { Stage } from '@atoll/dockerfile';
import { parseFailure } from '@atoll/dockerfile';
import { invalidArgument } from '@atoll/errors';

/** What a FROM or a `--from` names. */
export type StageReference =
  | { readonly kind: 'stage'; readonly index: number }
  | { readonly kind: 'image'; readonly reference: string }
  | { readonly kind: 'scratch' };

export interface PlannedStage {
  readonly index: number;
  readonly stage: Stage;
  /** The base image's reference as expanded, or the earlier stage. */
  readonly base: StageReference;
  /** Earlier stages this one reads, its base included; without duplicates. */
  readonly needs: readonly number[];
}

export interface StageGraph {
  /** All stages of the file. */
  readonly stages: readonly PlannedStage[];
  readonly target: number;
  /** The stages the target needs, itself included, in order. The others are not built. */
  readonly needed: readonly number[];
}

/**
 * Resolves who needs whom. A name means the nearest earlier stage of that name, so there can be no cycle.
 * @param baseName the expanded image of a stage's FROM
 * @param target name or number of the stage wanted, empty = the last
 */
export function planStages(stages: readonly Stage[], baseName: (stage: Stage) => string, target: string): StageGraph {
  const planned = stages.map((stage, index): PlannedStage => {
    const base = resolveBase(stages, index, baseName(stage));
    const needs = new Set(base.kind === 'stage' ? [base.index] : []);
    for (const instruction of stage.instructions) {
      if (instruction.kind !== 'COPY' || instruction.from === undefined) continue;
      const source = resolveFrom(stages, index, instruction.from, instruction.line);
      if (source.kind === 'stage') needs.add(source.index);
    }
    return { index, stage, base, needs: [...needs].sort((a, b) => a - b) };
  });
  const wanted = targetIndex(stages, target);
  const needed = new Set<number>();
  const visit = (index: number): void => {
    if (needed.has(index)) return;
    needed.add(index);
    for (const need of planned[index]?.needs ?? []) visit(need);
  };
  visit(wanted);
  return { stages: planned, target: wanted, needed: [...needed].sort((a, b) => a - b) };
}

/**
 * What `COPY --from=…` in stage `before` names: an earlier stage by name or number, else an image.
 * @param line where it stands
 */
export function resolveFrom(stages: readonly Stage[], before: number, from: string, line: number): StageReference {
  const named = stageNamed(stages, before, from);
  if (named !== undefined) return { kind: 'stage', index: named };
  if (!/^\d+$/.test(from)) return { kind: 'image', reference: from };
  const index = Number(from);
  if (index >= before) {
    throw parseFailure(line, `invalid from flag value ${from}: invalid stage index, only earlier stages can be used`);
  }
  return { kind: 'stage', index };
}

function resolveBase(stages: readonly Stage[], index: number, name: string): StageReference {
  if (name === '') throw invalidArgument(`base name (${stages[index]?.from.image ?? ''}) should not be blank`);
  const earlier = stageNamed(stages, index, name);
  if (earlier !== undefined) return { kind: 'stage', index: earlier };
  return name === 'scratch' ? { kind: 'scratch' } : { kind: 'image', reference: name };
}

function stageNamed(stages: readonly Stage[], before: number, name: string): number | undefined {
  const wanted = name.toLowerCase();
  for (let index = before - 1; index >= 0; index--) if (stages[index]?.from.name === wanted) return index;
  return undefined;
}

function targetIndex(stages: readonly Stage[], target: string): number {
  if (target === '') return stages.length - 1;
  const named = stageNamed(stages, stages.length, target);
  if (named !== undefined) return named;
  if (/^\d+$/.test(target) && Number(target) < stages.length) return Number(target);
  throw invalidArgument(`failed to reach build target ${target} in Dockerfile`);
}

/** An SELinux label, `user:role:type:level`. The level may have colons of its own. */
export interface Label {
  readonly user: string;
  readonly role: string;
  readonly type: string;
  /** `s0`, `s0:c1,c2`. */
  readonly level: string;
}

export function labelText({ user, role, type, level }: Label): string {
  return [user, role, type, level].join(':');
}

/** Of a label as text; empty when it has none. */
export function levelOf(label: string): string {
  return label.split(':').slice(3).join(':');
}

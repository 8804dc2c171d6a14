import type { FieldPlan, UserPlan } from './plan.js';
import { printed } from './printed.js';
import { quoted } from './quoted.js';

/** Marks what was inserted; LXD's mark. */
const mark = '#lxd:cloud-init.ssh-keys';

/** A user as an item of a list, in lines. */
export function userLines({ user, fields }: UserPlan): string[] {
  return [`- name: ${quoted(user)}`, ...fields.flatMap(fieldLines).map((line) => `  ${line}`)];
}

/** The same on one line. */
export function userText({ user, fields }: UserPlan): string {
  return `{${[`"name": ${quoted(user)}`, ...fields.map(fieldText)].join(', ')}}`;
}

export function fieldLines({ key, present, added }: FieldPlan): string[] {
  return [`${key.text}:`, ...present.map((item) => `- ${printed(item)}`), ...added.map(keyLine)];
}

/** A key as an item of a list. */
export function keyLine(sshKey: string): string {
  return `- ${quoted(sshKey)} ${mark}`;
}

export function fieldText(field: FieldPlan): string {
  return `${quoted(field.key.text)}: ${listText(field)}`;
}

/** What was there and what is added. */
export function listText({ present, added }: FieldPlan): string {
  return `[${[...present.map(printed), ...added.map(quoted)].join(', ')}]`;
}

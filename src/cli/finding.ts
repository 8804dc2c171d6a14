/** Something that `devlxd check` has looked at; docs/operations.md says what to do about each that is not ok. */
export interface Finding {
  readonly what: string;
  readonly value: string;
  /** what that means, and what to do when it is not well */
  readonly meaning: string;
  readonly state: 'ok' | 'warning' | 'bad';
}

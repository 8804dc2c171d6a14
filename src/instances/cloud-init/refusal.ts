/** Why a document stays as the operator wrote it. */
export type Reason =
  | 'no cloud-config'
  | 'a template'
  | 'too long'
  | 'too complex'
  | 'no YAML'
  | 'not plain YAML'
  | 'users is no list'
  | 'the user is there more than once'
  | 'the keys are no list'
  | 'not certain';

/** Thrown while a document is looked at, and caught where it is merged into. */
export class Refusal extends Error {
  readonly reason: Reason;

  constructor(reason: Reason) {
    super(reason);
    this.reason = reason;
  }
}

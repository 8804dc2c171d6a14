import * as v from 'valibot';
import { closestField } from '../closest-match.js';
import { invalid } from '../errors.js';
import { instanceTypes } from '../model/instance.js';
import { lostNameIn } from '../text/lost-names.js';

// valibot takes a list for a record.
const noList = v.check((given: unknown) => !Array.isArray(given), 'must be an object');
const config = v.pipe(
  v.unknown(),
  noList,
  v.record(v.string(), v.string('values are strings'), 'must be an object of strings'),
);
const devices = v.pipe(v.unknown(), noList, v.record(v.string(), config, 'must be an object of devices'));

// In Go, null leaves a field as if it were not there.
const given = <Schema extends v.GenericSchema>(schema: Schema) =>
  v.pipe(
    v.nullish(schema),
    v.transform((value) => value ?? undefined),
  );

const described = { description: given(v.string('must be text')) };

const instance = {
  ...described,
  config: given(config),
  devices: given(devices),
  profiles: given(v.array(v.string('names are strings'), 'must be a list of names')),
  ephemeral: given(v.literal(false, 'devlxd keeps an instance until it is deleted')),
  stateful: given(v.literal(false, 'devlxd stores no state of processes')),
  restore: given(v.literal('', 'devlxd has no snapshots')),
};

/** POST /1.0/instances */
export const instancePost = v.object({
  ...instance,
  name: v.string('a name is needed'),
  type: given(v.picklist(['', ...instanceTypes], 'must be container or virtual-machine')),
  source: given(v.object({ type: given(v.picklist(['', 'none'], 'devlxd makes no root file systems')) })),
});

/** PUT and PATCH /1.0/instances/{name} */
export const instancePut = v.object(instance);

/** One line of POST /1.0/batch */
export const batchLine = v.strictObject({
  method: v.picklist(['POST', 'PUT', 'PATCH', 'DELETE'], 'must be POST, PUT, PATCH or DELETE'),
  path: v.pipe(v.string('must be text'), v.startsWith('/1.0/', 'must be like /1.0/instances/web1')),
  etag: v.optional(v.string('must be text')),
  body: v.optional(v.unknown()),
});

/** POST /1.0/instances/{name}; LXD moves instances with the same request. */
export const instanceRename = v.object({
  name: v.string('a name is needed'),
  migration: given(v.boolean('must be true or false')),
  pool: given(v.literal('', 'devlxd has no storage pools')),
  project: given(v.string('must be text')),
});

/** PUT and PATCH /1.0/images/{fingerprint} */
export const imagePut = v.object({
  public: given(v.boolean('must be true or false')),
  properties: given(config),
});

const profile = { ...described, config: instance.config, devices: instance.devices };

/** POST /1.0/profiles */
export const profilePost = v.object({ ...profile, name: v.string('a name is needed') });

/** PUT and PATCH /1.0/profiles/{name} */
export const profilePut = v.object(profile);

const project = { ...described, config: instance.config };

/** POST /1.0/projects */
export const projectPost = v.object({ ...project, name: v.string('a name is needed') });

/** PUT and PATCH /1.0/projects/{name} */
export const projectPut = v.object(project);

/** POST /1.0/profiles/{name} and /1.0/projects/{name} */
export const rename = v.object({ name: v.string('a name is needed') });

const firstGuestCid = 3;

/** PUT /1.0/instances/{name}/state; pid and cid are devlxd's own extension. */
export const statePut = v.object({
  action: v.picklist(['start', 'stop'], 'must be "start" (with "pid") or "stop"; devlxd runs no containers'),
  pid: given(
    v.pipe(v.number('must be a number'), v.integer('must be a whole number'), v.minValue(1), v.maxValue(2 ** 22)),
  ),
  cid: given(
    v.pipe(
      v.number('must be a number'),
      v.integer('must be a whole number'),
      v.minValue(firstGuestCid, 'must be 3 or above: vsock(7) keeps the others'),
      v.maxValue(2 ** 32 - 2, 'must be below 4294967295'),
    ),
  ),
});

/**
 * The body as the schema has it. Fields that the schema does not name are left out, as Go's servers do, so that
 * clients newer than devlxd work; but one that is almost a known one is refused, so that a misspelt field is not lost.
 * @throws Fault invalid-value, naming the first field that is wrong
 */
export function parseBody<Schema extends BodySchema>(schema: Schema, body: unknown): v.InferOutput<Schema> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw invalid('body', 'must be a JSON object');
  const lost = lostNameIn(body);
  if (lost !== undefined) throw invalid(lost, 'is no name that can be used here');
  checkSpelling(Object.keys(body), Object.keys(schema.entries));
  const result = v.safeParse(schema, body);
  if (result.success) return result.output;
  const issue = result.issues[0];
  const field = v.getDotPath(issue) ?? 'body';
  if (issue.expected === 'never') throw invalid(field, 'Unknown field');
  throw invalid(field, issue.input === undefined && issue.type !== 'picklist' ? 'is missing' : issue.message);
}

type BodySchema = v.GenericSchema & { readonly entries: v.ObjectEntries };

/** LXD's own, which are like ones that devlxd has: clients send back what they have read. */
const othersFields = ['state'];

function checkSpelling(given: readonly string[], known: readonly string[]): void {
  for (const field of given) {
    if (known.includes(field) || othersFields.includes(field)) continue;
    const near = closestField(field, known);
    if (near !== undefined) throw invalid(field, `Unknown field; do you mean ${near}?`);
  }
}

import * as v from 'valibot';
import { closestMatch } from '../closest-match.js';
import { invalid } from '../errors.js';
import { lostNameIn } from '../text/lost-names.js';

// valibot takes a list for a record.
const noList = v.check((given: unknown) => !Array.isArray(given), 'must be an object');
const config = v.pipe(
  v.unknown(),
  noList,
  v.record(v.string(), v.string('values are strings'), 'must be an object of strings'),
);
const devices = v.pipe(v.unknown(), noList, v.record(v.string(), config, 'must be an object of devices'));

const described = { description: v.optional(v.string('must be text')) };

const instance = {
  ...described,
  config: v.optional(v.nullable(config)),
  devices: v.optional(v.nullable(devices)),
  profiles: v.optional(v.nullable(v.array(v.string('names are strings'), 'must be a list of names'))),
  // What LXD's clients send along and devlxd has no use for; anything else is a mistake worth hearing of.
  architecture: v.optional(v.string()),
  ephemeral: v.optional(v.literal(false, 'devlxd keeps an instance until it is deleted')),
  stateful: v.optional(v.literal(false, 'devlxd stores no state of processes')),
  restore: v.optional(v.literal('', 'devlxd has no snapshots')),
};

/** POST /1.0/instances */
export const instancePost = v.strictObject({
  ...instance,
  name: v.string('a name is needed'),
  type: v.optional(v.picklist(['', 'container'], 'only containers have this guest API')),
  source: v.optional(
    v.looseObject({ type: v.optional(v.picklist(['', 'none'], 'devlxd makes no root file systems')) }),
  ),
  instance_type: v.optional(v.string()),
});

/** PUT and PATCH /1.0/instances/{name} */
export const instancePut = v.strictObject(instance);

/** One line of a batch of changes: PATCH /1.0/instances */
export const instancePatchLine = v.strictObject({ ...instance, name: v.string('a name is needed') });

/** One line of POST /1.0/batch */
export const batchLine = v.strictObject({
  method: v.picklist(['POST', 'PUT', 'PATCH', 'DELETE'], 'must be POST, PUT, PATCH or DELETE'),
  path: v.pipe(v.string('must be text'), v.startsWith('/1.0/', 'must be like /1.0/instances/web1')),
  etag: v.optional(v.string('must be text')),
  body: v.optional(v.unknown()),
});

/** POST /1.0/instances/{name}; the other fields are those of a migration. */
export const instanceRename = v.strictObject({
  name: v.string('a name is needed'),
  migration: v.optional(v.literal(false, 'devlxd moves no instances; give a new "name"')),
  live: v.optional(v.boolean()),
  instance_only: v.optional(v.boolean()),
  container_only: v.optional(v.boolean()),
  allow_inconsistent: v.optional(v.boolean()),
  target: v.optional(v.nullable(v.any())),
  pool: v.optional(v.literal('', 'devlxd has no storage pools')),
  project: v.optional(v.literal('', 'an instance stays in its project')),
});

/** PUT and PATCH /1.0/images/{fingerprint} */
export const imagePut = v.strictObject({
  public: v.optional(v.boolean('must be true or false')),
  properties: v.optional(v.nullable(config)),
  auto_update: v.optional(v.boolean()),
  expires_at: v.optional(v.string()),
  profiles: v.optional(v.nullable(v.array(v.string()))),
});

const profile = { ...described, config: instance.config, devices: instance.devices };

/** POST /1.0/profiles */
export const profilePost = v.strictObject({ ...profile, name: v.string('a name is needed') });

/** PUT and PATCH /1.0/profiles/{name} */
export const profilePut = v.strictObject(profile);

const project = { ...described, config: instance.config };

/** POST /1.0/projects */
export const projectPost = v.strictObject({ ...project, name: v.string('a name is needed') });

/** PUT and PATCH /1.0/projects/{name} */
export const projectPut = v.strictObject(project);

/** POST /1.0/profiles/{name} and /1.0/projects/{name} */
export const rename = v.strictObject({ name: v.string('a name is needed') });

/** PUT /1.0/instances/{name}/state; pid is devlxd's own extension. */
export const statePut = v.strictObject({
  action: v.picklist(['start', 'stop'], 'must be "start" (with "pid") or "stop"'),
  pid: v.optional(
    v.pipe(v.number('must be a number'), v.integer('must be a whole number'), v.minValue(1), v.maxValue(2 ** 22)),
  ),
  force: v.optional(v.boolean()),
  stateful: v.optional(v.boolean()),
  timeout: v.optional(v.number()),
});

/**
 * The body as the schema has it.
 * @throws Fault invalid-value, naming the first field that is wrong
 */
export function parseBody<Schema extends v.GenericSchema>(schema: Schema, body: unknown): v.InferOutput<Schema> {
  if (Array.isArray(body)) throw invalid('body', 'must be a JSON object');
  const lost = lostNameIn(body);
  if (lost !== undefined) throw invalid(lost, 'is no name that can be used here');
  const result = v.safeParse(schema, body);
  if (result.success) return result.output;
  const issue = result.issues[0];
  const field = v.getDotPath(issue) ?? 'body';
  if (issue.expected === 'never') throw invalid(field, `Unknown field${suggestionFor(field, schema)}`);
  throw invalid(field, issue.input === undefined && issue.type !== 'picklist' ? 'is missing' : issue.message);
}

/** For a field of the object itself, and not of something in it. */
function suggestionFor(field: string, schema: v.GenericSchema): string {
  const near = 'entries' in schema ? closestMatch(field, Object.keys(schema.entries as object)) : undefined;
  return near === undefined ? '' : `; do you mean ${near}?`;
}

import * as v from 'valibot';
import { invalid } from '../errors.js';

const config = v.record(v.string(), v.string('values are strings'));
const devices = v.record(v.string(), v.record(v.string(), v.string('values are strings')));

// What LXD's clients send along and devlxd has no use for; anything else is a mistake worth hearing of.
const tolerated = {
  architecture: v.optional(v.string()),
  description: v.optional(v.string()),
  ephemeral: v.optional(v.boolean()),
  profiles: v.optional(v.nullable(v.array(v.string()))),
  stateful: v.optional(v.boolean()),
  restore: v.optional(v.string()),
};

/** POST /1.0/instances */
export const instancePost = v.strictObject({
  ...tolerated,
  name: v.string('a name is needed'),
  config: v.optional(v.nullable(config)),
  devices: v.optional(v.nullable(devices)),
  type: v.optional(v.picklist(['', 'container'], 'only containers have this guest API')),
  source: v.optional(
    v.looseObject({ type: v.optional(v.picklist(['', 'none'], 'devlxd makes no root file systems')) }),
  ),
  instance_type: v.optional(v.string()),
});

/** PUT and PATCH /1.0/instances/{name} */
export const instancePut = v.strictObject({
  ...tolerated,
  config: v.optional(v.nullable(config)),
  devices: v.optional(v.nullable(devices)),
});

/** PUT and PATCH /1.0/images/{fingerprint} */
export const imagePut = v.strictObject({
  public: v.optional(v.boolean('must be true or false')),
  properties: v.optional(v.nullable(config)),
  auto_update: v.optional(v.boolean()),
  expires_at: v.optional(v.string()),
  profiles: v.optional(v.nullable(v.array(v.string()))),
});

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
  const result = v.safeParse(schema, body);
  if (result.success) return result.output;
  const issue = result.issues[0];
  const field = v.getDotPath(issue) ?? 'body';
  if (issue.expected === 'never') throw invalid(field, 'Unknown field');
  throw invalid(field, issue.input === undefined && issue.type !== 'picklist' ? 'is missing' : issue.message);
}

const raw = 'it says that it is UTF-8: cloud-init need not guess';

/** Where devlxd answers otherwise than Incus, and why. */
export const differences: Readonly<Record<string, string>> = {
  'HEAD /1.0': 'as everywhere else: GET without the body; Incus: 405',
  'GET /1.0/': 'the same as /1.0; Incus: 404',
  'POST /1.0': '501; Incus: 405',
  'PATCH /1.0 {"state":"Ready"}': 'the type of its empty body says that it is UTF-8',
  'GET /1.0/config': "sorted; Incus' order is another each time",
  'GET /1.0/config/user.mark': raw,
  'GET /1.0/config/user.m%61rk': raw,
  'GET /1.0/config/cloud-init.user-data': raw,
  'GET /1.0/meta-data': raw,
  'GET /1.0/nothing': 'the sentence for a key that is not set',
};

import { type Unpacked, unpacked } from './unpacked.js';

const modules =
  'attr certifi chardet charset-normalizer configobj idna jinja2 json-pointer jsonpatch jsonschema ' +
  'markupsafe netifaces oauthlib pyrsistent requests serial six urllib3 yaml';

/** cloud-init and whatever it imports: nothing of it needs to be installed. */
export function debianCloudInit(): Unpacked {
  return unpacked('cloud-init', ['cloud-init', ...modules.split(' ').map((name) => `python3-${name}`)]);
}

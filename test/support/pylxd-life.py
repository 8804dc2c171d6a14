# What people do with Debian's pylxd; the argument is the control socket. test/pylxd.test.ts reads what it prints.
import sys, pylxd
from urllib.parse import quote
c = pylxd.Client(endpoint='http+unix://' + quote(sys.argv[1], safe=''))
print('host', c.host_info['environment']['server'])
i = c.containers.create({'name': 'p1', 'source': {'type': 'none'}, 'config': {'user.a': '1'}}, wait=True)
print('created', i.name, i.status)
i = c.containers.get('p1'); i.config['user.b'] = '2'; i.save(wait=True)
print('saved', c.containers.get('p1').config['user.b'])
print('all', [x.name for x in c.containers.all()], [x.name for x in c.containers.all()])
p = c.profiles.create('web', config={'user.role': 'web'}); print('profile', c.profiles.get('web').config)
i.profiles = ['default', 'web']; i.save(wait=True); print('expanded', c.containers.get('p1').expanded_config['user.role'])
i.rename('p2', wait=True); print('renamed', c.containers.exists('p2'))
print('state', c.containers.get('p2').state().status)
print('networks', 'lo' in [n.name for n in c.networks.all()])
c.containers.get('p2').delete(wait=True); c.profiles.get('web').delete(); print('deleted', c.containers.exists('p2'))

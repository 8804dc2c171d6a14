"""One boot's init stage, as cloud-init makes it, and what came of it, as JSON.

Usage: boot.py DIRECTORY    which stands for /var/lib and is kept from boot to boot
"""

import json
import os
import sys

from cloudinit import sources, stages

cloud_dir = sys.argv[1] + "/cloud"
configuration = {
    "datasource_list": ["NoCloud", "LXD", "None"],
    "def_log_file": "",
    "system_info": {
        "distro": "debian",
        # /dev is a file system of this boot, as /run would be.
        "paths": {"cloud_dir": cloud_dir, "run_dir": "/dev/shm/cloud-init"},
    },
}
os.environ["CLOUD_CFG"] = "/dev/shm/cloud.cfg"
with open(os.environ["CLOUD_CFG"], "w") as file:
    json.dump(configuration, file)

cached = sources.pkl_load(cloud_dir + "/instance/obj.pkl")
same_instance = cached and cached.check_instance_id(configuration)

init = stages.Init(ds_deps=[sources.DEP_FILESYSTEM])
init.read_cfg()
init.initialize()
source = init.fetch(existing="check")
init.instancify()
init.setup_datasource()
init.update()
network, network_source = init._find_networking_config()

json.dump(
    {
        "source": type(source).__name__,
        "same_instance": same_instance,
        "restored": init.ds_restored,
        "instance_id": source.get_instance_id(),
        "hostname": source.get_hostname()[0],
        "user_data": source.get_userdata_raw(),
        "vendor_data": source.get_vendordata_raw(),
        "network": network,
        "network_source": str(network_source),
    },
    sys.stdout,
)

"""Every server that the bed knows."""
from .gunicorn import Gunicorn
from .haproxy import Haproxy
from .nginx import Nginx
from .node import Node
from .php_fpm import PhpFpm
from .puma import Puma
from .service import Service
from .unicorn import Unicorn
from .uwsgi import Uwsgi
from .variants import GunicornOnSharedPort, GunicornWithHelper, PumaWithControl, PumaWithJobs, UwsgiWithRouter

SERVERS = {
    "puma": Puma,
    "unicorn": Unicorn,
    "gunicorn": Gunicorn,
    "uwsgi": Uwsgi,
    "nginx": Nginx,
    "php-fpm": PhpFpm,
    "haproxy": Haproxy,
    "node": Node,
    "puma+jobs": PumaWithJobs,
    "puma+control": PumaWithControl,
    "gunicorn+helper": GunicornWithHelper,
    "gunicorn+shared-port": GunicornOnSharedPort,
    "uwsgi+router": UwsgiWithRouter,
    "any": Service,
}

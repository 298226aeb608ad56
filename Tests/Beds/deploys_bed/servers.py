"""Every server that the bed knows."""
from .gunicorn import Gunicorn
from .haproxy import Haproxy
from .nginx import Nginx
from .puma import Puma
from .service import Service
from .unicorn import Unicorn
from .uwsgi import Uwsgi

SERVERS = {
    "puma": Puma,
    "unicorn": Unicorn,
    "gunicorn": Gunicorn,
    "uwsgi": Uwsgi,
    "nginx": Nginx,
    "haproxy": Haproxy,
    "any": Service,
}

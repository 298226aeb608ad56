# gunicorn: /etc/app/gunicorn.conf.py, for a reload with HUP
#
# Change: the number, the address, /srv/app.

# Without it a reload goes back to the folder where gunicorn was started, which is the old release.
chdir = "/srv/app/current"
workers = 3
# With True, HUP forks new workers from the code that is loaded already: they are new, their code is not.
preload_app = False
bind = "127.0.0.1:8080"

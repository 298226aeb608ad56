# Unicorn: config/unicorn.rb, for a reload with HUP
#
# Change: the number, the address, /srv/app.

# Without it a restart goes back to the folder where Unicorn was started, which is the old release.
working_directory "/srv/app/current"
worker_processes 3
# With true, HUP forks new workers from the code that is loaded already: they are new, their code is not.
preload_app false
listen "127.0.0.1:8080"
timeout 30
# New workers have the gems that `bundle exec` loaded when Unicorn was started: a release with another Gemfile.lock needs a `systemctl restart`.

# Puma: config/puma.rb
#
# Change: the numbers, the address, /srv/app.

# Without it a restart goes back to the folder where Puma was started, which is the old release: the processes are new, their code is not.
directory "/srv/app/current"
# A phased restart, one worker after the other: nobody waits while one boots. It needs more than one worker.
workers 3
threads 1, 5
# With it Puma silently restarts as a whole instead, and all requests wait until the application has booted.
preload_app! false
bind "tcp://127.0.0.1:8080"
# Not fork_worker: restarts take 5 to 10 s then.
# The workers of a phased restart have the gems that `bundle exec` loaded when Puma was started: a release with another Gemfile.lock needs a
# `systemctl restart`, or `prune_bundler` in this file and a Puma from RubyGems (Debian's does not start with it).

# Capistrano 3: lib/capistrano/tasks/verify.rake
#
# Restart in a task after deploy:published, such as puma:phased_restart: the check comes behind it. Another service than "web":
# set :verify_service, "shop"
namespace :deploy do
  namespace :verify do
    # Each host has a token of its own, and keeps it: only the deploy's id comes back.
    ids = {}

    desc "Puts a token into the release, and remembers the workers that run now"
    task :prepare do
      on roles(:app) do |host|
        ids[host.hostname] = capture(
          :"verify-token", :prepare, "--service", fetch(:verify_service, "web"), "--release", release_path, "--print", :id
        ).strip
      end
    end

    desc "Fails the deploy unless every worker runs the new release"
    task :check do
      on roles(:app) do |host|
        execute :"verify-token", :check, "--deploy", ids.fetch(host.hostname), "--timeout", "60s"
      end
    end
  end
end

# Before the link changes: the remembered workers must be those of the old release.
before "deploy:publishing", "deploy:verify:prepare"
# Before the cleanup: a rollback may still need what it removes.
before "deploy:finishing", "deploy:verify:check"

# Capistrano 3: lib/capistrano/tasks/verify.rake
#
# Change, in config/deploy.rb: `set :verify_service, "shop"` for another service than "web"; `set :verify_reload, false` when another task
# restarts it after deploy:published, such as puma:phased_restart. `cap production deploy:rollback` is verified too.
# On each host: verify-token, an agent that watches the service, and rights/sudoers.
namespace :deploy do
  namespace :verify do
    # Each host has a token of its own, and keeps it: only the deploy's id comes back.
    ids = {}

    desc "Puts a token into the release, and remembers the workers that run now"
    task :prepare do
      on roles(:app) do |host|
        ids[host.hostname] = capture(
          :"verify-token", :prepare, "--service", fetch(:verify_service, "web"), "--release", release_path,
          *fetch(:verify_options, []), "--print", :id
        ).strip
      end
    end

    desc "Makes the service load the new release"
    task :reload do
      next unless fetch(:verify_reload, true)
      on(roles(:app)) { execute :sudo, :systemctl, fetch(:verify_verb, "reload-or-restart"), fetch(:verify_service, "web") }
    end

    desc "Fails the deploy unless every worker runs the new release"
    task :check do
      on roles(:app) do |host|
        execute :"verify-token", :check, "--deploy", ids.fetch(host.hostname), "--timeout", "60s"
      end
    end

    # Old workers may still stand in the release that is gone back to, and the deploy that failed may not be over.
    task :back do
      set :verify_options, %w[--in-place --force]
      set :verify_verb, "restart"
    end
  end
end

# Before the link changes: the remembered workers must be those of the old release.
before "deploy:publishing", "deploy:verify:prepare"
after "deploy:published", "deploy:verify:reload"
# Before the cleanup: a rollback may still need what it removes.
before "deploy:finishing", "deploy:verify:check"
before "deploy:reverting", "deploy:verify:back"
before "deploy:finishing_rollback", "deploy:verify:check"

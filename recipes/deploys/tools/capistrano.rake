# Capistrano 3: lib/capistrano/tasks/verify.rake
#
# Restart in a task after deploy:published, such as puma:phased_restart: the check comes behind it.

namespace :deploy do
  namespace :verify do
    desc "Puts a token into the release, and remembers the workers that run now"
    task :prepare do
      set :deploy_token, SecureRandom.hex(16)
      on roles(:app) do
        # In the environment of the command and not among its words: those are in every log.
        with deploy_token: fetch(:deploy_token) do
          execute "printenv DEPLOY_TOKEN | verify-token prepare --service #{fetch(:verify_service, "web")} --release #{release_path} --token - >/dev/null"
        end
      end
    end

    desc "Fails the deploy unless every worker runs the new release"
    task :check do
      on roles(:app) do
        with deploy_token: fetch(:deploy_token) do
          execute "printenv DEPLOY_TOKEN | verify-token check --service #{fetch(:verify_service, "web")} --token - --timeout 60s --quiet"
        end
      end
    end
  end
end

# Before the link changes: the remembered workers must be those of the old release.
before "deploy:publishing", "deploy:verify:prepare"
# Before the cleanup: a rollback may still need what it removes.
before "deploy:finishing", "deploy:verify:check"

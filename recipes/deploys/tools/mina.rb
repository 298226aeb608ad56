# Mina 1: in config/deploy.rb
require "securerandom"

set :verify_service, "web"
set :deploy_token, SecureRandom.hex(16)

task :deploy do
  deploy do
    invoke :"git:clone"
    invoke :"bundle:install"
    # Here the release is still in its folder for building, which becomes the release: $(pwd) is that folder.
    command %(verify-token prepare --service #{fetch(:verify_service)} --release "$(pwd)" --token #{fetch(:deploy_token)} >/dev/null)
    on :launch do
      command %(sudo systemctl reload #{fetch(:verify_service)})
      command %(verify-token check --service #{fetch(:verify_service)} --token #{fetch(:deploy_token)} --timeout 60s)
    end
  end
end

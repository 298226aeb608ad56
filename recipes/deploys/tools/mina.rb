# Mina 1: in config/deploy.rb
#
# Change: the service. On the host: verify-token, an agent that watches the service, and rights/sudoers. Mina does not go back by itself: `mina
# rollback`, then reload.
set :verify_service, "web"

task :deploy do
  deploy do
    invoke :"git:clone"
    invoke :"bundle:install"
    on :launch do
      # The link is new by now, and the workers are not: they are remembered, then reloaded, then looked at. One command, because the next one
      # would not know the id.
      service = fetch(:verify_service)
      command %(id=$(verify-token prepare --service #{service} --release "$(readlink -f #{fetch(:current_path)})" --print id) && ) +
              %(sudo systemctl reload-or-restart #{service} && verify-token check --deploy "$id" --timeout 60s)
    end
  end
end

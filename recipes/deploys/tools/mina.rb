# Mina 1: in config/deploy.rb
#
# Change: the service. On the host: verify-token, an agent that watches the service, and rights/sudoers.
set :verify_service, "web"

task :deploy do
  deploy do
    invoke :"git:clone"
    invoke :"bundle:install"
    on :launch do
      service = fetch(:verify_service)
      verified = lambda do |release, options, verb|
        %(id=$(verify-token prepare --service #{service} --release "#{release}" #{options} --print id) && ) +
          %(sudo systemctl #{verb} #{service} && verify-token check --deploy "$id" --timeout 60s)
      end
      # The link is new by now, and the workers are not: they are remembered, then reloaded, then looked at. When this fails, Mina points the
      # link back and removes the new release: the workers have to be out of it before. One command, because the next one would not know the id.
      command %({ #{verified.("$(readlink -f #{fetch(:current_path)})", "", "reload-or-restart")}; } || { status=$?; ) +
              %([ -z "$previous_path" ] || { ln -nfs "$previous_path" "#{fetch(:current_path)}"; ) +
              %(#{verified.("$previous_path", "--in-place --force", "restart")}; }; exit $status; })
    end
  end
end

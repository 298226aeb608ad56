directory "/srv/app/current"
load "config/a.rb", "config/b.rb"
instance_eval(File.read("c.rb"))

from shared.web import *
exec(open("x").read())
preload_app = True

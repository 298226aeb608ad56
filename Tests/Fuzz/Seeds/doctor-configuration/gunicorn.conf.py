chdir = "/srv/app/current"
preload_app = True  # x
if a:
    workers = 4
def f(a):
    """
    chdir = 1
    """

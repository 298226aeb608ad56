"""Who serves: processes that accept, that pass on, that are left over."""
from scenario import DEPLOY, Remedy, Scenario, bad, good

SCENARIOS = [
]

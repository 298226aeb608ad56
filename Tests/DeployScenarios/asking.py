"""How workers are asked, and what their answers mean."""
from scenario import DEPLOY, Remedy, Scenario, bad, good

SCENARIOS = [
]

"""What requests meet with: URLs, caches, several deploys at once, what cannot be seen from here."""
from scenario import DEPLOY, Remedy, Scenario, bad, good

SCENARIOS = [
]

"""The bed of deploys: see Tests/Beds/deploys."""

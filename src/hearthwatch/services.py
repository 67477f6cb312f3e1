"""The page: every service, port, budget and route as data."""

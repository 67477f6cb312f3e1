"""Tools of this repository: checks and generated pages. Nothing here is installed."""

"""A service table becomes a web server."""

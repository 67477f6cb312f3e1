"""The services, measured from outside: requests per second, first answers, health, memory; beside other servers."""

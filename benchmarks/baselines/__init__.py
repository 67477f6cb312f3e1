"""What the services are measured against, each started as a process of its own."""

"""What goes on telling: server-sent events of jobs, of the fleet, and of growing logs."""

"""A worker's stay with the scheduler: what it holds, owes and says. Only ``streams`` and ``spool`` do I/O."""

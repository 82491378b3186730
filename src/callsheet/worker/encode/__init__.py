"""Everything that encodes: commands, runs, checks, publication, cached results."""

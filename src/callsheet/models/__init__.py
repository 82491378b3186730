"""Models on disk: what a manifest says, which are there, how one is fetched. Nothing here runs one."""

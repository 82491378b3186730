"""Who calls, by which credential, what that allows, how often, and what is noted of it."""

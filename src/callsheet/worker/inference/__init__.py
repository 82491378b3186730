"""Models at work: each in a sandboxed process of its own, for as long as a lease needs it."""

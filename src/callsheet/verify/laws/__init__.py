"""The laws of the queue: each a pure function from a history to what contradicts it."""

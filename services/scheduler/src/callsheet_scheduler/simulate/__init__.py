"""``callsheet simulate``: what waiting would be like, by the engine that decides in production."""

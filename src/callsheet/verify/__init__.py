"""Judges a recorded history of a queue: what was asked, what workers heard and said, what the tables hold."""

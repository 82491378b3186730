"""Originals that arrive piece by piece (tus 1.0), hidden in their root until they are whole."""

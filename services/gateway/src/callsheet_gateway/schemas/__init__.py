"""The JSON of the REST surface: keys and shapes as the documented systems have them."""

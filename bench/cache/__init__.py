"""Building a cache of pictures, beside a plain script and beside the usual tools."""

"""Media knowledge without I/O: arguments are built, output is parsed, arrays are computed."""

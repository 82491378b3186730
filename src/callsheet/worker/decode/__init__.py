"""What runs inside the sandboxed children: the only code that opens media."""

"""The gateway: REST and the web page."""

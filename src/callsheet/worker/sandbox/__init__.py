"""Child processes that touch what strangers wrote, and what they may still do."""
